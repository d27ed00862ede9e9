// Parses expressions of Power Query (M) with Microsoft's own parser. Standard input is a JSON object
// of them by name; standard output one of what is wrong with each, null where nothing is.
import { readFileSync } from 'node:fs';
import PQP from '@microsoft/powerquery-parser';

const { DefaultSettings, TaskUtils } = PQP;
const expressions = JSON.parse(readFileSync(0, 'utf8'));
const verdicts = {};
for (const [name, text] of Object.entries(expressions)) {
  const task = await TaskUtils.tryLexParse(DefaultSettings, text);
  verdicts[name] = TaskUtils.isParseStageOk(task) ? null : (task.error?.message ?? 'not parsed');
}
process.stdout.write(JSON.stringify(verdicts));
