// Node's server, for duplexio.js. Prints its port.

const { Server } = require("sios4");
const http = require("http");

const server = http.createServer();
const io = new Server(server, { cors: { origin: "*" }, maxHttpBufferSize: 1e6 });
const tries = new Map();

function serve(socket) {
  socket.on("echo", (...args) => socket.emit("echo", ...args));
  socket.on("answer", (...args) => args.pop()(args));
  socket.on("where", (answer) => answer(socket.nsp.name));
  socket.on("silence", () => {});
  socket.on("ask me", (value) => socket.emit("question", value, (...args) => socket.emit("you said", ...args)));
  socket.on("kick me", () => socket.disconnect());
  socket.on("third time", (key, answer) => {
    tries.set(key, (tries.get(key) || 0) + 1);
    if (tries.get(key) >= 3) answer(tries.get(key));
  });
}

io.on("connection", serve);
io.of("/other").on("connection", serve);
io.of("/refusing").use((socket, next) => {
  if (socket.handshake.auth.let) return next();
  const error = new Error("not you");
  error.data = socket.handshake.auth;
  return next(error);
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
