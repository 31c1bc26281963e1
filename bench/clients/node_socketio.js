// Node's `socket.io-client`: what _socketio.py describes. node node_socketio.js --mode M --port N
'use strict';

const { readdirSync, readFileSync } = require('node:fs');
const { parseArgs } = require('node:util');
const { setFlagsFromString } = require('node:v8');
const { runInNewContext } = require('node:vm');
const { io } = require('socket.io-client');

const BURST = 16;
const MESSAGE = { id: '0'.repeat(16), n: 12345, ok: true, text: 'abcdefghi' };

const { values: options } = parseArgs({
  options: {
    mode: { type: 'string' },
    port: { type: 'string' },
    seconds: { type: 'string', default: '1' },
    warm: { type: 'string', default: '0.3' },
    clients: { type: 'string', default: '1000' },
    base: { type: 'string', default: '100' },
  },
});
const windows = [Number(options.warm), Number(options.seconds)];

function connect() {
  const socket = io(`http://127.0.0.1:${options.port}`, {
    transports: ['websocket'],
    forceNew: true,
    reconnection: false,
  });
  return new Promise((resolve, reject) => {
    socket.on('connect', () => resolve(socket));
    socket.on('connect_error', reject);
  });
}

function cpuMicroseconds() {
  const { user, system } = process.cpuUsage();
  return user + system;
}

class Window {
  constructor(seconds) {
    this.count = 0;
    this.cpu = cpuMicroseconds();
    this.begun = performance.now();
    this.end = this.begun + seconds * 1e3;
  }

  get isOver() {
    return performance.now() >= this.end;
  }

  result() {
    const { count } = this;
    const wall = (performance.now() - this.begun) * 1e3;
    return { cpu_us: (cpuMicroseconds() - this.cpu) / count, wall_us: wall / count, count };
  }
}

function check(data) {
  if (
    data.id !== MESSAGE.id ||
    data.n !== MESSAGE.n ||
    data.ok !== MESSAGE.ok ||
    data.text !== MESSAGE.text
  ) {
    throw new Error("the server's message differs");
  }
}

async function ack() {
  const socket = await connect();
  let window;
  for (const seconds of windows) {
    window = new Window(seconds);
    while (!window.isOver) {
      for (let i = 0; i < 20; i++) check(await socket.emitWithAck('ack', MESSAGE));
      window.count += 20;
    }
  }
  return window.result();
}

async function acks() {
  const socket = await connect();
  let window;
  for (const seconds of windows) {
    window = new Window(seconds);
    while (!window.isOver) {
      await new Promise((resolve) => {
        const came = (data) => {
          check(data);
          if (++window.count % BURST === 0) resolve();
        };
        for (let i = 0; i < BURST; i++) socket.emit('ack', MESSAGE, came);
      });
    }
  }
  return window.result();
}

async function event() {
  const socket = await connect();
  let window;
  let over;
  socket.on('burst', (data) => {
    check(data);
    window.count++;
    if (window.count % BURST) return;
    if (window.isOver) over(window.result());
    else socket.emit('burst', MESSAGE);
  });
  let result;
  for (const seconds of windows) {
    result = await new Promise((resolve) => {
      over = resolve;
      window = new Window(seconds);
      socket.emit('burst', MESSAGE);
    });
  }
  return result;
}

async function connects() {
  let window;
  for (const seconds of windows) {
    window = new Window(seconds);
    while (!window.isOver) {
      const socket = await connect();
      const closed = new Promise((resolve) => socket.io.engine.once('close', resolve));
      socket.disconnect();
      await closed;
      window.count++;
    }
  }
  return window.result();
}

async function idle() {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc');
  const residentBytes = () => {
    collect();
    return Number(readFileSync('/proc/self/statm', 'ascii').split(' ')[1]) * 4096;
  };
  const [clients, base] = [Number(options.clients), Number(options.base)];
  const sockets = [];
  let bytes;
  let cpu;
  for (let number = 0; number < clients; number++) {
    if (number === base) [bytes, cpu] = [residentBytes(), cpuMicroseconds()];
    sockets.push(await connect());
  }
  cpu = cpuMicroseconds() - cpu;
  const count = clients - base;
  bytes = residentBytes() - bytes;
  if (!sockets.every((socket) => socket.connected)) {
    throw new Error('not all clients have stayed connected');
  }
  return {
    resident_bytes: bytes / count,
    open_cpu_us: cpu / count,
    threads: readdirSync('/proc/self/task').length,
    count,
  };
}

const modes = { ack, acks, event, connect: connects, idle };
modes[options.mode]().then((result) => {
  console.log(JSON.stringify(result));
  process.exit(0);
});
