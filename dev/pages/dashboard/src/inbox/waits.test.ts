import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Awaited, SentSignal } from './documents';
import { commentIn, commentKey, commentsOf, decisionsOf, progressOf, sentSoFar, whoMayDecide } from './waits';

const decided = (by: string, decision: string, iteration = 2) => ({
  signal: 'release',
  decision,
  by,
  iteration,
  at: '2026-01-01T00:00:00Z',
});

function awaited(approval: Partial<NonNullable<NonNullable<Awaited['type']>['approval']>> | null): Awaited {
  const policy = approval && { required: 2, groups: null, excludeCreator: false, ...approval };
  return { name: 'release', refusal: null, type: { description: null, approval: policy } };
}

test('only decisions of the current wait count, and each user once', () => {
  const wait = {
    iterations: 2,
    approvals: [decided('a', 'Approve', 1), decided('b', 'Approve'), decided('b', 'Approve')],
  };
  assert.equal(decisionsOf(wait, 'release').length, 2);
  assert.equal(decisionsOf(wait, 'other').length, 0);
  assert.equal(progressOf(wait, awaited({})), '1 of 2 approvals');
  assert.equal(
    progressOf({ ...wait, approvals: [decided('a', 'Reject')] }, awaited({ required: 1 })),
    '0 of 1 approval',
  );
  assert.equal(progressOf(wait, awaited(null)), '');
});

test('who may decide is shown as a sentence', () => {
  assert.equal(whoMayDecide(awaited({})), '');
  assert.equal(whoMayDecide(awaited({ groups: ['ops', 'admins'] })), 'By members of ops or admins.');
  assert.equal(whoMayDecide(awaited({ excludeCreator: true })), 'By others, not the creator of the run.');
  assert.equal(
    whoMayDecide(awaited({ groups: ['ops'], excludeCreator: true })),
    'By members of ops, not the creator of the run.',
  );
  assert.equal(whoMayDecide(awaited(null)), '');
});

test('what earlier waits have consumed is left out', () => {
  const sent = (phase: string, signal = 'release') => ({ id: phase, signal, phase }) as SentSignal;
  const found = sentSoFar([sent('Consumed'), sent('Pending'), sent('Rejected'), sent('Pending', 'other')], 'release');
  assert.deepEqual(
    found.map(({ id }) => id),
    ['Pending', 'Rejected'],
  );
});

test('comments are those of accepted signals', () => {
  const sent = (sender: string, phase: string, comment: string) =>
    ({ signal: 'release', sender, phase, payload: { comment } }) as unknown as SentSignal;
  const comments = commentsOf([
    sent('a', 'Consumed', 'fine'),
    sent('b', 'Rejected', 'me too'),
    sent('c', 'Pending', ''),
  ]);
  assert.deepEqual([...comments], [[commentKey('release', 'a'), 'fine']]);
});

test('a comment is a text in the payload', () => {
  assert.equal(commentIn({ comment: 'fine' }), 'fine');
  assert.equal(commentIn({ comment: 3 }), '');
  assert.equal(commentIn(null), '');
});
