// Clients of socket.io-client 4, as many as are described in the argument (JSON):
//   [{name, url, options, delay, upgraded, ask, stay, reconnect, socketPath}]
// Each connects, talks, and leaves; with `stay` it prints how it was disconnected instead, and with
// `reconnect` it connects again, for ever. What happens is printed: [name, event, ...] in a line.
const path = require("path");
const { createRequire } = require("module");
const load = createRequire(path.join(__dirname, "..", "interop", "package.json"));
const { io } = load("sioc4");
const http = require("http");

const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

const run = async ({ delay, ...rest }) => {
  if (delay) await wait(delay);
  await begin(rest);
};

const begin = ({ name, url, stay, upgraded, reconnect, ask, socketPath, options }) =>
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
    socket.on("connect", async () => {
      print("connect", transport());
      const engine = socket.io.engine;
      if (upgraded && transport() === "polling") await new Promise((go) => engine.once("upgrade", go));
      await talk();
      if (!stay && !reconnect) finish();
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
