// A client of engine.io-client: connects, sends what it is told, and prints what happens as JSON.
// usage: node engineio_client.cjs MODULE PORT TRANSPORTS MESSAGES
const [, , name, port, transports, count] = process.argv;
const client = require(name);
const Socket = client.Socket || client;
const print = (...event) => console.log(JSON.stringify(event));
const socket = new Socket(`ws://127.0.0.1:${port}`, { transports: transports.split(",") });
let received = 0;

const texts = ["hello", "€ 😀 \u2028\\n\n\"", "x".repeat(20000), '{"a":1}'];
const sendAll = () => {
  for (const text of texts) socket.send(text);
  socket.send(Buffer.from([0, 1, 2, 255, 4]));
  for (let i = 0; i < +count; i++) socket.send(String(i));
};

socket.on("open", () => {
  print("open", socket.transport.name);
  if (!transports.includes(",")) sendAll();
  else for (let i = 0; i < 50; i++) socket.send("early" + i); // on the way while it upgrades
});
socket.on("upgrade", (transport) => {
  print("upgrade", transport.name);
  sendAll();
});
socket.on("message", (data) => {
  print("message", typeof data === "string" ? data : { binary: Array.from(new Uint8Array(data)) });
  received += 1;
  const expected = texts.length + 1 + +count + (transports.includes(",") ? 50 : 0);
  if (received === expected) socket.send("close me");
});
socket.on("close", (reason) => {
  print("close", reason);
  process.exit(0);
});
socket.on("error", (error) => {
  print("error", String(error), String(error.description && error.description.message));
  process.exit(1);
});
setTimeout(() => process.exit(2), 20000);
