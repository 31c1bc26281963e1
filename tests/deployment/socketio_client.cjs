// Clients of socket.io-client 4, as many as are described in the argument (JSON):
//   [{name, url, stay, upgraded, options}]
// Each connects, talks, and leaves; with `stay` it prints how it was disconnected instead. What
// happens is printed, a JSON array in a line: [name, event, ...].
const path = require("path");
const { createRequire } = require("module");
const load = createRequire(path.join(__dirname, "..", "interop", "package.json"));
const { io } = load("sioc4");
const http = require("http");

const run = ({ name, url, stay, upgraded, reconnect, ask, socketPath, options }) =>
  new Promise((resolve) => {
    const print = (...event) => console.log(JSON.stringify([name, ...event]));
    if (socketPath) options.agent = new http.Agent({ socketPath, keepAlive: true });
    const socket = io(url, { reconnection: !!reconnect, reconnectionDelay: 50, timeout: 10000, forceNew: true, ...options });
    const transport = () => socket.io.engine.transport.name;
    const finish = () => {
      socket.close();
      resolve();
    };
    const talk = async () => {
      const response = new Promise((resolve) => socket.once("server_response", resolve));
      const bytes = Buffer.from([0, 1, 255]);
      const echoed = await socket.emitWithAck("echo", { data: "grüße", bytes });
      const data = (await response).data;
      const good = echoed.data === "grüße" && Buffer.compare(Buffer.from(echoed.bytes), bytes) === 0;
      print("talked", transport(), data, good);
      if (ask) print("answer", await socket.emitWithAck(ask));
    };
    let connections = 0;
    socket.on("connect", async () => {
      connections += 1;
      print("connect", transport());
      const engine = socket.io.engine;
      if (upgraded && transport() === "polling") await new Promise((go) => engine.once("upgrade", go));
      await talk();
      if (!stay && !reconnect) finish();
      else if (connections > (reconnect || 1)) finish();
      else if (stay && stay !== true) socket.emit(stay);
    });
    socket.on("connect_error", (error) => {
      print("connect_error", error.message, error.description && (error.description.message || error.description));
      if (!reconnect) finish();
    });
    socket.on("disconnect", (reason, details) => {
      const context = details && details.context;
      print("disconnect", reason, context && (context.code || context.status) || null);
      if (!reconnect) finish();
    });
  });

Promise.all(JSON.parse(process.argv[2]).map(run)).then(() => process.exit(0));
