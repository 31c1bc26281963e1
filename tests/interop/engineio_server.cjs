// An echo server of engine.io: node engineio_server.cjs MODULE OPTIONS (in JSON).
// Writes its port, and then what happens, a JSON text a line. It ends when its input does.
"use strict";

const http = require("http");
const [module_, options] = process.argv.slice(2);
const engine = require(module_);

const note = (...event) => process.stdout.write(JSON.stringify(event) + "\n");
const server = http.createServer();
const eio = engine.attach(server, JSON.parse(options));

eio.on("connection", (socket) => {
  note("connect", socket.protocol || 3, socket.transport.name);
  socket.send("hello");
  socket.on("message", (data) => {
    if (data === "close me") socket.close();
    else socket.send(data);
  });
  socket.on("upgrade", () => note("upgrade"));
  socket.on("close", (reason) => note("disconnect", reason));
});

server.listen(0, "127.0.0.1", () => note("listening", server.address().port));
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
