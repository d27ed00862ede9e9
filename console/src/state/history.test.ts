// The history is a list people look through, not a log.
import { expect, it } from 'vitest';
import { remember } from './history';

it('has each statement once, newest first, and an end', () => {
  expect(remember(['b', 'a'], 'a')).toEqual(['a', 'b']);
  expect(remember(['a'], '')).toEqual(['a']);
  expect(remember(['a'], 'x'.repeat(20_000))).toEqual(['a']);
  const many = Array.from({ length: 80 }, (_, at) => `select ${at}`).reduce<string[]>(remember, []);
  expect(many).toHaveLength(50);
  expect(many[0]).toBe('select 79');
});
