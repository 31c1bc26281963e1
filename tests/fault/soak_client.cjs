// Clients of socket.io-client that come, talk and go; prints what they have seen, as JSON.
// usage: node soak_client.cjs MODULE PORT SECONDS
const path = require("path");
const [, , name, port, seconds] = process.argv;
const io = require(path.join(__dirname, "..", "interop", "node_modules", name));
const end = Date.now() + seconds * 1000;
const totals = { lives: 0, sent: 0, received: 0 };
const errors = [];
const ways = [["polling"], ["websocket"], ["polling", "websocket"]];
const EACH = 2;

function live(transports) {
  return new Promise((done) => {
    const socket = io(`http://127.0.0.1:${port}`, {
      transports,
      forceNew: true,
      reconnection: false,
    });
    const until = Date.now() + 1000 + Math.random() * 15000;
    let sent = 0, received = 0, broadcast = null, owed = 0, going = false, timer = null;
    const finish = (problem) => {
      if (going === "gone") return;
      going = "gone";
      clearTimeout(timer);
      if (problem) errors.push(`${name} ${transports}: ${problem}`);
      totals.lives += 1;
      totals.sent += sent;
      totals.received += received;
      socket.disconnect();
      setTimeout(done, 50);
    };
    const talk = () => {
      if (going) return;
      if (Date.now() > until || Date.now() > end + 1000) {
        going = "going";
        timer = setTimeout(() => finish("bye was not acknowledged"), 60000);
        socket.emit("bye", sent, (count, heard) => {
          if (count !== received || heard !== sent || owed)
            finish(`sent ${sent}, heard ${heard}; got ${received} of ${count}; owed ${owed}`);
          else finish();
        });
        return;
      }
      sent += 1;
      const number = sent, choice = Math.random();
      if (choice < 0.1) socket.emit("n", number, Buffer.alloc(100, number % 256));
      else if (choice < 0.3) {
        owed += 1;
        socket.emit("n", number, (answer) => {
          owed -= 1;
          if (answer !== number) finish(`acknowledged ${number} by ${answer}`);
        });
      } else socket.emit("n", number);
      timer = setTimeout(talk, 20 + Math.random() * 180);
    };
    timer = setTimeout(() => finish("not connected within 60 s"), 60000);
    socket.on("connect", () => {
      clearTimeout(timer);
      talk();
    });
    socket.on("connect_error", (error) => finish(`connect_error ${error}`));
    socket.on("m", (number, data) => {
      if (number !== received + 1) finish(`${number} came after ${received}`);
      received = number;
      if (data && (data.length !== 100 || data[0] !== number % 256)) finish(`wrong bytes, ${number}`);
    });
    socket.on("b", (number) => {
      if (broadcast !== null && number !== broadcast + 1)
        finish(`broadcast ${number} came after ${broadcast}`);
      broadcast = number;
    });
    socket.on("disconnect", (reason) => finish(`disconnected: ${reason}`));
  });
}

async function lives(transports) {
  while (Date.now() < end) await live(transports);
}

const all = [];
for (const transports of ways) for (let i = 0; i < EACH; i++) all.push(lives(transports));
Promise.all(all).then(() => {
  console.log(JSON.stringify({ ...totals, errors: errors.slice(0, 20) }));
  process.exit(0);
});
