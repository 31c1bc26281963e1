// A Socket.IO server for our clients: node socketio_server.cjs <module> <port> <options as JSON>.
// It prints its port. Protocol 4 (modules sios1, sios2) and 5 (sios3, sios4) do the same.
const http = require("http");

const [module_, port, json] = process.argv.slice(2);
const options = JSON.parse(json || "{}");
const old = module_ === "sios1" || module_ === "sios2";
if (options.parser) options.parser = require(options.parser);
const server = http.createServer();
const io = old ? require(module_)(server, options) : new (require(module_).Server)(server, options);

function serve(socket) {
  socket.on("echo", (...args) => {
    const answer = typeof args[args.length - 1] === "function" ? args.pop() : null;
    if (answer) answer(...args);
    else socket.emit("echo", ...args);
  });
  socket.on("add", (a, b, answer) => answer(a + b));
  socket.on("never", () => {});
  socket.on("ask", (...args) => socket.emit("question", ...args, (...more) => socket.emit("answer", ...more)));
  socket.on("who", (answer) => answer(socket.id));
  socket.on("auth", (answer) => answer(socket.handshake.auth || socket.handshake.query));
  socket.on("header", (name, answer) => answer(socket.handshake.headers[name] || null));
  socket.on("kick", () => socket.disconnect());
  socket.on("kick all", () => socket.disconnect(true));
  // The connection breaks, and what is sent meanwhile is missed.
  socket.on("break", (count) => {
    const transport = socket.conn.transport;
    if (transport.socket && transport.socket._socket) transport.socket._socket.destroy();
    else transport.close();
    setTimeout(() => {
      for (let i = 0; i < count; i++) socket.nsp.emit("missed", i);
    }, 30);
  });
  socket.on("number", (n) => socket.emit("number", n));
  socket.on("volatile", (text) => socket.volatile.emit("volatile", text));
}

const seen = {};
io.on("connection", (socket) => {
  serve(socket);
  // Emits that come again: how often each has come.
  socket.on("once", (key, answer) => {
    seen[key] = (seen[key] || 0) + 1;
    if (answer) answer(seen[key]);
  });
});
const admin = io.of("/admin");
admin.use((socket, next) => {
  const auth = old ? socket.handshake.query : socket.handshake.auth;
  if (auth.token === "x") return next();
  const error = new Error("not you");
  error.data = { code: 7 };
  next(error);
});
admin.on("connection", serve);
io.of("/chat").on("connection", serve);

server.listen(Number(port), "127.0.0.1", () => console.log(server.address().port));
