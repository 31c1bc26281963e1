// Socket.IO clients of all generations.
//   node socketio_client.cjs check GENERATION URL TRANSPORTS [PARSER]
//     runs the checks of socketio_checks.cjs, and prints the results as JSON
//   node socketio_client.cjs hold URL
//     keeps a client of each generation on each transport, prints what becomes of them, and emits
//     an event for each line on its standard input
"use strict";

const [, , mode, ...rest] = process.argv;
const print = (...event) => console.log(JSON.stringify(event));

const check = async (generation, url, transports, parser) => {
  const io = require(`sioc${generation}`);
  const results = await require("./socketio_checks.cjs")({
    io,
    generation: +generation,
    url,
    transports: transports.split(","),
    options: parser ? { parser: require(parser) } : {},
    brief: parser === "msgpackparser2",
  });
  print(results);
  process.exit(0);
};

const hold = (url) => {
  const sockets = [];
  for (const generation of [1, 2, 3, 4]) {
    for (const transports of ["polling", "websocket", "polling,websocket"]) {
      const name = `${generation}/${transports}`;
      const socket = require(`sioc${generation}`)(url, {
        forceNew: true,
        query: { token: name },
        reconnectionDelay: 100,
        reconnectionDelayMax: 300,
        transports: transports.split(","),
      });
      socket.on("connect", () => print("connect", name));
      socket.on("disconnect", (reason) => print("disconnect", name, reason));
      socket.on("echo", (text) => print("echo", name, text));
      sockets.push(socket);
    }
  }
  require("readline")
    .createInterface({ input: process.stdin })
    .on("line", (text) => sockets.forEach((socket) => socket.emit("echo", text)))
    .on("close", () => process.exit(0));
};

({ check, hold })[mode](...rest);
