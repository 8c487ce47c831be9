import { EventEmitter } from 'node:events';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { WebSocket } from 'ws';
import { FakeClock } from '../../runtime/core/fake-clock.ts';
import { silentLogger } from '../../runtime/core/log.ts';
import { encodeMessage, type Message, newMessage } from '../../runtime/core/message.ts';
import { mebibytes, seconds } from '../../runtime/core/units.ts';
import { Session } from './session.ts';

/** The edge's end of a connection. */
class Edge extends EventEmitter {
  readonly sent: string[] = [];
  readonly calls: string[] = [];
  bufferedAmount = 0;
  bytesRead = 0;

  ping(): void {
    this.calls.push('ping');
  }

  send(text: string): void {
    assert.ok(text.endsWith('\n'), 'frames end with a newline, as KubeEdge’s do');
    this.sent.push((JSON.parse(text) as Message).header.msg_id);
  }

  terminate(): void {
    this.calls.push('terminate');
  }

  pause(): void {
    this.calls.push('pause');
  }

  resume(): void {
    this.calls.push('resume');
  }

  says(operation: string, parent?: string): void {
    const route = { source: 'edge', group: 'g', operation, resource: 'node/x' };
    const message = newMessage({ ...route, content: {}, ...(parent ? { parent } : {}) }, 0, operation);
    this.emit('message', Buffer.from(encodeMessage(message)));
  }
}

type Context = {
  clock: FakeClock;
  edge: Edge;
  session: Session;
  received: string[];
  acknowledged: string[];
  closed: string[];
};
const test = suite<Context>('session');

test.before.each((context) => {
  context.clock = new FakeClock();
  context.edge = new Edge();
  context.received = [];
  context.acknowledged = [];
  context.closed = [];
  context.session = new Session({
    node: 'edge-1',
    socket: context.edge as unknown as WebSocket,
    transport: context.edge,
    keepalive: seconds(30),
    clock: context.clock,
    log: silentLogger,
    received: (_, message) => context.received.push(message.route.operation),
    acknowledged: (node, { message }) => context.acknowledged.push(`${node} ${message.header.msg_id}`),
    closed: (_, reason) => context.closed.push(reason),
  });
});
test.after.each(({ session, clock }) => {
  session.end('the test is over');
  assert.is(clock.pending, 0, 'no timer is left');
});

function message(id: string): Message {
  return newMessage({ source: 's', group: 'g', operation: 'update', resource: 'r', content: {} }, 0, id);
}
const delivery = (id: string) => ({ message: message(id), uid: id, version: '1', deletion: false });

test('objects go one by one, each as the one before is acknowledged', ({
  edge,
  session,
  acknowledged,
  received,
}) => {
  session.deliver(delivery('a'));
  session.deliver(delivery('b'));
  session.send(message('c'));
  assert.equal(edge.sent, ['a', 'c'], 'what is not waited for passes by');
  assert.is(session.pending, 2);
  edge.says('response', 'a');
  assert.equal(edge.sent, ['a', 'c', 'b']);
  assert.equal(acknowledged, ['edge-1 a']);
  assert.equal(received, []);
});

test('a response to something else is handed on, as are other messages', ({ edge, session, received }) => {
  session.deliver(delivery('a'));
  edge.says('response', 'query-1');
  edge.says('update');
  assert.equal(received, ['response', 'update']);
});

test('a keepalive is for the watchdog alone', ({ edge, received }) => {
  edge.says('keepalive');
  assert.equal(received, []);
});

test('a node that says nothing for longer than the keepalive is let go', async ({ clock, edge, closed }) => {
  await clock.advance(29_000);
  edge.says('keepalive');
  await clock.advance(30_000);
  assert.equal(closed, []);
  await clock.advance(6000);
  assert.equal(closed, ['no keepalive']);
  assert.equal(edge.calls, ['terminate']);
});

test('a large frame that comes in slowly keeps the node', async ({ clock, edge, closed }) => {
  for (let i = 0; i < 12; i++) {
    edge.bytesRead += 10_000;
    await clock.advance(seconds(20));
  }
  assert.equal(closed, []);
  await clock.advance(seconds(36));
  assert.equal(closed, ['no keepalive']);
});

test('an object is not sent again while it is on its way to the node', async ({ clock, edge, session }) => {
  session.deliver(delivery('a'));
  for (let i = 0; i < 3; i++) {
    await clock.advance(seconds(20));
    edge.says('keepalive');
  }
  assert.equal(edge.sent, ['a']);
  edge.emit('pong', Buffer.alloc(0));
  await clock.advance(seconds(5));
  assert.equal(edge.sent, ['a', 'a']);
});

test('what is no message is passed over, but is a sign of life', async ({
  clock,
  edge,
  received,
  closed,
}) => {
  await clock.advance(29_000);
  edge.emit('message', Buffer.from('{'));
  await clock.advance(29_000);
  assert.equal([received, closed], [[], []]);
});

test('it ends once, whatever ends it, and sends nothing after', ({ edge, session, closed }) => {
  session.deliver(delivery('a'));
  edge.emit('error', new Error('reset'));
  edge.emit('close', 1006);
  session.end('again');
  assert.equal(closed, ['reset']);
  session.send(message('b'));
  session.deliver(delivery('c'));
  session.resume();
  assert.equal(edge.sent, ['a']);
  assert.equal(edge.calls, ['ping', 'terminate']);
  assert.is(session.pending, 0);
});

test('what is left in a connection after its end is not heard', ({ edge, session, received }) => {
  session.end('the node connected again');
  edge.says('update');
  assert.equal(received, []);
});

test('a message that comes again while it is dealt with is known', ({ session }) => {
  assert.ok(session.begin(message('a')));
  assert.not(session.begin(message('a')));
  assert.ok(session.begin(message('b')));
  session.finish(message('a'));
  assert.ok(session.begin(message('a')), 'its answer may have been lost');
});

test('a connection that closes says with which code', ({ edge, closed }) => {
  edge.emit('close', 1001);
  assert.equal(closed, ['closed with 1001']);
});

test('a node that leaves more than 32 MiB unread is let go', ({ edge, session, closed }) => {
  edge.bufferedAmount = mebibytes(32);
  session.send(message('a'));
  assert.equal(closed, []);
  edge.bufferedAmount++;
  session.send(message('b'));
  assert.equal(closed, ['it does not read']);
});

test('reading can be held back', ({ edge, session }) => {
  session.pause();
  session.resume();
  assert.equal(edge.calls, ['pause', 'resume']);
});

test.run();
