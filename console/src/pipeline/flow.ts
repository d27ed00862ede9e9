// The picture of the pipeline: what the status reports, in the order a row travels.
import type { PipelineStatus, StageStatus } from '../api/types';

export type Node =
  | { kind: 'stage'; name: string; does: string; stage: StageStatus | null }
  | { kind: 'store'; name: string; holds: string; count: string };

const WORK: Record<string, string> = {
  poll: 'asks the vendor for quotes',
  land: 'seals records into objects',
  load: 'reads objects into bronze',
  refine: 'builds silver and gold',
  serve: 'answers SQL and HTTP',
};

function stage(status: PipelineStatus, name: string): Node {
  return { kind: 'stage', name, does: WORK[name] ?? '', stage: status.stages.find((one) => one.name === name) ?? null };
}

/** Vendor → poll → topic → land → load → refine → serve; stages not known here come last. */
export function flowOf(status: PipelineStatus): Node[] {
  const waiting = status.stages.find((one) => one.name === 'land');
  return [
    { kind: 'store', name: 'vendor', holds: 'REST API', count: status.is_simulated ? 'simulated' : 'real' },
    stage(status, 'poll'),
    { kind: 'store', name: 'topic', holds: 'records', count: waiting ? `${waiting.lag} waiting` : '' },
    ...['land', 'load', 'refine', 'serve'].map((name) => stage(status, name)),
    ...status.stages.filter((one) => !(one.name in WORK)).map((one) => stage(status, one.name)),
  ];
}

const LAYERS = ['bronze', 'silver', 'gold'];

/** The layer of a table's name, and its place in the order of layers. */
export function layerOf(name: string): { layer: string; order: number } {
  const layer = name.split('.')[0] ?? '';
  const order = LAYERS.indexOf(layer);
  return { layer, order: order < 0 ? LAYERS.length : order };
}
