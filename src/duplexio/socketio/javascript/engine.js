// An Engine.IO session, protocol 4: its transports, the upgrade, the heartbeat.

import { Emitter } from "./emitter.js";
import { logger } from "./log.js";
import { isBinary } from "./parser.js";
import { Polling, WebSocketTransport } from "./transports.js";

const TRANSPORTS = { polling: Polling, websocket: WebSocketTransport };

// Seconds that a WebSocket may take to answer the probe.
const PROBE_TIMEOUT = 10_000;

// A WebSocket that worked is tried first the next time, when `rememberUpgrade` asks for it.
let upgradedBefore = false;

function sizeOf(packet) {
  const { data } = packet;
  if (data === undefined) return 1;
  if (!isBinary(data)) return 1 + new Blob([data]).size;
  // In base64, as polling sends it.
  return 1 + Math.ceil(((data.byteLength ?? data.size) * 4) / 3) + 2;
}

// Events: open, message(data), packet, ping, upgrade(transport), drain, close(reason, details), error.
export class Engine extends Emitter {
  constructor(options) {
    super();
    this.options = options;
    this.log = logger("engine");
    this.readyState = "opening";
    this.id = null;
    this.maxPayload = 0;
    this.writeBuffer = [];
    this._upgrading = false;
    this._inFlight = 0;
    const names = options.transports.filter((name) => TRANSPORTS[name]);
    if (!names.length) {
      throw new Error(`transports is [${options.transports}]; expected "polling" or "websocket"`);
    }
    this._names = names;
    const remembered = options.rememberUpgrade && upgradedBefore && names.includes("websocket");
    this._start(remembered ? "websocket" : names[0]);
    if (typeof addEventListener === "function") {
      this._offline = () => this._end("transport close", { description: "network connection lost" });
      addEventListener("offline", this._offline);
    }
  }

  _start(name) {
    this.log("opening", name);
    const transport = new TRANSPORTS[name](this.options, {});
    this._use(transport);
    transport.open();
  }

  _use(transport) {
    if (this.transport) this.transport.off();
    this.transport = transport;
    transport
      .on("packet", (packet) => this._packet(packet))
      .on("drain", () => this._drained())
      .on("error", (error) => this._failed(transport, error))
      .on("close", (details) => this._end("transport close", details));
  }

  _failed(transport, error) {
    this.log("error of", transport.name, error.message);
    if (this.readyState === "opening" && this.options.tryAllTransports && this._names.length > 1) {
      this._names = this._names.filter((name) => name !== transport.name);
      transport.off();
      transport.abort();
      this._start(this._names[0]);
      return;
    }
    if (transport.name === "websocket") upgradedBefore = false;
    this._emitReserved("error", error);
    this._end("transport error", error);
  }

  _packet({ type, data }) {
    if (this.readyState === "closed") return;
    this._emitReserved("packet", { type, data });
    switch (type) {
      case "0":
        this._opened(data);
        break;
      case "2":
        this._write({ type: "3" });
        this._emitReserved("ping");
        this._emitReserved("heartbeat");
        this._expectPing();
        break;
      case "4":
        this._emitReserved("message", data);
        break;
      case "1":
        this._end("transport close", { description: "closed by the server" });
        break;
      default: // noop, and what belongs to a probe
    }
  }

  _opened(text) {
    let opening;
    try {
      opening = JSON.parse(text);
    } catch (error) {
      this._end("parse error", error);
      return;
    }
    this.id = opening.sid;
    this.transport.query.sid = opening.sid;
    this.maxPayload = opening.maxPayload || 0;
    this._patience = opening.pingInterval + opening.pingTimeout;
    this._expectPing();
    this.readyState = "open";
    upgradedBefore = this.transport.name === "websocket";
    this.transport.writable = true;
    this.log("open", this.id, "on", this.transport.name);
    this._emitReserved("open");
    this._flush();
    if (this.readyState !== "open" || !this.options.upgrade || this.transport.name !== "polling") return;
    if (this._names.includes("websocket") && (opening.upgrades || []).includes("websocket")) this._probe();
  }

  _expectPing() {
    clearTimeout(this._pingTimer);
    this._deadline = Date.now() + this._patience;
    this._pingTimer = setTimeout(() => this._end("ping timeout"), this._patience);
    if (this.options.autoUnref && this._pingTimer.unref) this._pingTimer.unref();
  }

  // Timers of a page that sleeps come late: whoever writes first finds out.
  _pingMissed() {
    if (!this._deadline || Date.now() <= this._deadline) return false;
    this.log("ping timeout, found on writing");
    this._deadline = 0;
    setTimeout(() => this._end("ping timeout"), 0);
    return true;
  }

  _probe() {
    this.log("probing for an upgrade");
    const candidate = new WebSocketTransport(this.options, { sid: this.id });
    let over = false;
    const stop = (why) => {
      if (over) return;
      over = true;
      clearTimeout(timer);
      this._upgrading = false;
      candidate.off();
      candidate.close();
      this._stopProbe = null;
      this.log("no upgrade:", why);
      this._emitReserved("upgradeError", new Error(`probe error: ${why}`));
      this._flush();
    };
    const timer = setTimeout(() => stop("timeout"), PROBE_TIMEOUT);
    this._stopProbe = stop;
    candidate
      .on("error", (error) => stop(error.message))
      .on("close", () => stop("closed"))
      .on("open", () => candidate.send([{ type: "2", data: "probe" }]))
      .on("packet", ({ type, data }) => {
        if (over || type !== "3" || data !== "probe") {
          stop(`the probe is answered ${type}${data}`);
          return;
        }
        this._upgrading = true; // from now on nothing more is written to polling
        const polling = this.transport;
        polling.pause(() => {
          if (over || this.readyState !== "open") return;
          over = true;
          clearTimeout(timer);
          this._stopProbe = null;
          polling.off();
          polling.closed = true;
          candidate.off();
          this._use(candidate);
          candidate.send([{ type: "5" }]);
          this._upgrading = false;
          // What polling was still writing has arrived: it waited for the answers.
          this.writeBuffer.splice(0, this._inFlight);
          this._inFlight = 0;
          upgradedBefore = true;
          this.log("upgraded");
          this._emitReserved("upgrade", candidate);
          this._flush();
        });
      });
    candidate.open();
  }

  // Whether a message can leave at once; what is volatile is dropped when not.
  get writable() {
    return (
      this.readyState === "open" &&
      !this._upgrading &&
      this.transport.writable &&
      !this.transport.congested &&
      !this._pingMissed()
    );
  }

  // Send messages one behind the other, with nothing in between.
  send(...messages) {
    if (this.readyState !== "opening" && this.readyState !== "open") return;
    this._pingMissed();
    for (const data of messages) this.writeBuffer.push({ type: "4", data });
    this._flush();
  }

  _write(packet) {
    this.writeBuffer.push(packet);
    this._flush();
  }

  _flush() {
    if (this.readyState === "opening" || this.readyState === "closed") return;
    if (this._upgrading || this._inFlight) return;
    if (!this.transport.writable || !this.writeBuffer.length) return;
    const packets = this._writablePackets();
    this._inFlight = packets.length;
    this.transport.send(packets);
  }

  // As many as a request may carry; polling only, since a WebSocket has no requests.
  _writablePackets() {
    if (!this.maxPayload || this.transport.name !== "polling") return [...this.writeBuffer];
    let size = 0;
    for (let i = 0; i < this.writeBuffer.length; i++) {
      size += sizeOf(this.writeBuffer[i]) + (i > 0);
      if (i > 0 && size > this.maxPayload) return this.writeBuffer.slice(0, i);
    }
    return [...this.writeBuffer];
  }

  _drained() {
    this.writeBuffer.splice(0, this._inFlight);
    this._inFlight = 0;
    if (this.writeBuffer.length) this._flush();
    else this._emitReserved("drain");
  }

  // Close when all that was written has left.
  close() {
    if (this.readyState === "closed" || this.readyState === "closing") return;
    const leave = () => this._end("forced close");
    if (this.readyState === "open" && this.writeBuffer.length && !this._upgrading) {
      this.readyState = "closing";
      this._closing = setTimeout(leave, 1000);
      this.once("drain", leave);
      return;
    }
    leave();
  }

  _end(reason, details) {
    if (this.readyState === "closed") return;
    this.log("closed:", reason);
    this.readyState = "closed";
    clearTimeout(this._pingTimer);
    clearTimeout(this._closing);
    if (this._offline) removeEventListener("offline", this._offline);
    if (this._stopProbe) this._stopProbe("the session is over");
    this.transport.off();
    this.transport.close();
    this.id = null;
    this._emitReserved("close", reason, details);
    this.writeBuffer = [];
    this._inFlight = 0;
  }
}
