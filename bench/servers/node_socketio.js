// Node's `socket.io`: the application of _socketio.py. node node_socketio.js [--port N] ...
'use strict';

const http = require('node:http');
const { parseArgs } = require('node:util');
const { Server } = require('socket.io');

const MEMBERS = 10;
const GROUPS = 100;

const { values: options } = parseArgs({
  options: {
    port: { type: 'string', default: '0' },
    handlers: { type: 'string', default: 'plain' },
    rooms: { type: 'string', default: '0' },
    'in-two-rooms': { type: 'boolean', default: false },
  },
});

const server = http.createServer();
const io = new Server(server, {
  perMessageDeflate: false,
  serveClient: false,
  maxHttpBufferSize: 16 << 20,
});
const rooms = Number(options.rooms);
let clients = 0;
let turns = 0;

io.on('connection', (socket) => {
  if (options['in-two-rooms']) {
    socket.join(['lobby', `table-${clients++ % 100}`]);
  }
  if (rooms) {
    const group = Math.floor(clients++ / MEMBERS) % GROUPS;
    for (let number = group; number < rooms; number += GROUPS) socket.join(`room-${number}`);
  }
  if (options.handlers === 'suspend') {
    socket.on('ack', async (data, answer) => {
      await new Promise(setImmediate);
      answer(data);
    });
  } else {
    socket.on('ack', (data, answer) => answer(data));
  }
  socket.on('echo', (data) => socket.emit('echo', data));
  socket.on('broadcast', (data) => io.emit('broadcast', data));
  socket.on('room', (data, answer) => {
    io.to(`room-${turns++ % rooms}`).emit('room', data);
    answer();
  });
});
server.listen({ port: Number(options.port), host: '127.0.0.1', backlog: 4096 }, () => {
  console.log(`listening on ${server.address().port}`);
});
