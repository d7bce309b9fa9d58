import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connected, connection, cut, epoch, received } from './connection';

test('a message on the socket ends an interruption that only a request has seen', () => {
  connected();
  const before = epoch.get();
  cut();
  assert.equal(connection.get().state, 'cut');
  received();
  assert.equal(connection.get().state, 'live');
  assert.equal(epoch.get(), before); // no change was missed
});
