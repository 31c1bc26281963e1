// A client on a bad line: it tells what it gets, and whether it was recovered.
// node recovery_client.mjs <module> <url> <transports> <events>

import { createRequire } from "node:module";

const WebSocket = createRequire(import.meta.url)("ws");
const [, , module, url, transports, count] = process.argv;
const { io } = await import(module);
const tell = (what) => process.stdout.write(JSON.stringify(what) + "\n");

const socket = io(url, {
  transports: transports.split(","),
  reconnectionDelay: 10,
  reconnectionDelayMax: 20,
  randomizationFactor: 0,
  forceNew: true,
  WebSocket,
});
socket.on("connect", () => tell({ connected: socket.id, recovered: socket.recovered }));
socket.on("n", (number) => {
  tell({ number });
  if (number === Number(count)) {
    socket.disconnect();
    process.exitCode = 0;
    process.stdout.end(() => process.exit(0));
  }
});
