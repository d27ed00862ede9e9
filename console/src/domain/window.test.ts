// The list has as many rows as fit, wherever one scrolls.
import { expect, it } from 'vitest';
import { sliceInSight } from './window';

it('draws what is in sight and a little more', () => {
  expect(sliceInSight(10_000, 25, 0, 500, 10)).toEqual({ first: 0, end: 30 });
  expect(sliceInSight(10_000, 25, 125_000, 500, 10)).toEqual({ first: 4_990, end: 5_030 });
  expect(sliceInSight(10_000, 25, 249_500, 500, 10)).toEqual({ first: 9_970, end: 10_000 });
  expect(sliceInSight(3, 25, 9_999, 500, 10)).toEqual({ first: 3, end: 3 });
  expect(sliceInSight(0, 25, 0, 500, 10)).toEqual({ first: 0, end: 0 });
});
