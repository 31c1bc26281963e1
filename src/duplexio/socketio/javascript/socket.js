// A client in a namespace: events, acknowledgements, what waits while there is no connection.

import { Emitter } from "./emitter.js";
import { logger } from "./log.js";
import { PacketType, RESERVED_EVENTS } from "./parser.js";

// What may wait for a connection, unless the options say otherwise.
const OFFLINE_PACKETS = 1000;

export class Socket extends Emitter {
  constructor(io, nsp, options = {}) {
    super();
    this.io = io;
    this.nsp = nsp;
    this.auth = options.auth ?? {};
    this._options = { offlinePackets: OFFLINE_PACKETS, offlinePolicy: "fail", ...io.opts, ...options };
    this.log = logger("socket");
    this.id = undefined;
    this.connected = false;
    this.recovered = false;
    this.sendBuffer = [];
    this.receiveBuffer = [];
    this._ids = 0;
    this._acks = new Map();
    this._flags = {};
    this._queue = [];
    this._queueSequence = 0;
    this._anyIncoming = [];
    this._anyOutgoing = [];
    this._subscribed = null;
    this._pid = undefined;
    this._lastOffset = undefined;
    if (io.opts.autoConnect) this.connect();
  }

  get disconnected() {
    return !this.connected;
  }

  // Whether it is connected, or will connect again by itself.
  get active() {
    return Boolean(this._subscribed);
  }

  get volatile() {
    this._flags.volatile = true;
    return this;
  }

  compress(value) {
    this._flags.compress = value;
    return this;
  }

  timeout(milliseconds) {
    this._flags.timeout = milliseconds;
    return this;
  }

  connect() {
    if (this.connected) return this;
    this._subscribe();
    if (!this.io._reconnecting) this.io.open();
    if (this.io._readyState === "open") this._managerOpened();
    return this;
  }

  open() {
    return this.connect();
  }

  _subscribe() {
    if (this._subscribed) return;
    const listeners = {
      open: () => this._managerOpened(),
      error: (error) => {
        if (!this.connected) this._emitReserved("connect_error", error);
      },
      close: (reason, details) => this._closed(reason, details),
    };
    for (const [event, listener] of Object.entries(listeners)) this.io.on(event, listener);
    this._subscribed = listeners;
  }

  _unsubscribe() {
    if (!this._subscribed) return;
    for (const [event, listener] of Object.entries(this._subscribed)) this.io.off(event, listener);
    this._subscribed = null;
  }

  _managerOpened() {
    const connect = (data) => {
      const recovery = this._pid ? { pid: this._pid, offset: this._lastOffset } : {};
      this.io._send({ type: PacketType.CONNECT, nsp: this.nsp, data: { ...recovery, ...data } });
    };
    if (typeof this.auth === "function") this.auth(connect);
    else connect(this.auth);
  }

  send(...args) {
    return this.emit("message", ...args);
  }

  emit(event, ...args) {
    if (RESERVED_EVENTS.has(event)) throw new Error(`"${event}" is a reserved event name`);
    const flags = this._flags;
    this._flags = {};
    if (this._options.retries && !flags.fromQueue && !flags.volatile) {
      this._enqueue(event, args);
      return this;
    }
    const packet = { type: PacketType.EVENT, nsp: this.nsp, data: [event, ...args] };
    if (typeof args[args.length - 1] === "function") {
      packet.id = this._ids++;
      this._expectAck(packet.id, packet.data.pop(), flags);
    }
    const { engine } = this.io;
    if (flags.volatile && !(this.connected && engine && engine.writable)) {
      this.log("volatile, and dropped:", event);
    } else if (this.connected) {
      this._sendEvent(packet);
    } else {
      this._keep(packet);
    }
    return this;
  }

  emitWithAck(event, ...args) {
    const withError = this._flags.timeout !== undefined || this._options.ackTimeout !== undefined;
    return new Promise((resolve, reject) => {
      const answered = withError
        ? (error, answer) => (error ? reject(error) : resolve(answer))
        : (answer) => resolve(answer);
      answered.withError = true;
      answered.reject = reject;
      this.emit(event, ...args, answered);
    });
  }

  // An acknowledgement is waited for until its time is over, or the connection is.
  _expectAck(id, callback, flags) {
    const timeout = flags.timeout ?? this._options.ackTimeout;
    if (timeout === undefined) {
      this._acks.set(id, callback);
      return;
    }
    const timer = setTimeout(() => {
      this._acks.delete(id);
      this.sendBuffer = this.sendBuffer.filter((packet) => packet.id !== id);
      callback.call(this, new Error("operation has timed out"));
    }, timeout);
    const answered = (...args) => {
      clearTimeout(timer);
      callback.apply(this, [null, ...args]);
    };
    answered.withError = true;
    answered.reject = (error) => {
      clearTimeout(timer);
      callback.call(this, error);
    };
    this._acks.set(id, answered);
  }

  // Keep an event until there is a connection, within limits.
  _keep(packet) {
    const { offlinePackets, offlinePolicy } = this._options;
    if (this.sendBuffer.length >= offlinePackets) {
      if (offlinePolicy === "drop-oldest") {
        this._refuse(this.sendBuffer.shift());
      } else {
        this._refuse(packet);
        if (offlinePolicy === "drop-newest") return;
        throw new Error(
          `${offlinePackets} events wait for a connection already; offlinePackets allows more, ` +
            "and offlinePolicy can drop them",
        );
      }
    }
    this.sendBuffer.push(packet);
  }

  _refuse({ id }) {
    const callback = this._acks.get(id);
    this._acks.delete(id);
    if (callback && callback.withError) callback.reject(new Error("dropped while disconnected"));
  }

  _sendEvent(packet) {
    for (const listener of [...this._anyOutgoing]) listener.apply(this, packet.data);
    this.io._send(packet);
  }

  // With `retries` events go one at a time, each until it is acknowledged.
  _enqueue(event, args) {
    const callback = typeof args[args.length - 1] === "function" ? args.pop() : undefined;
    const entry = { id: this._queueSequence++, tries: 0, pending: false, event, args, callback };
    this._queue.push(entry);
    this._drainQueue();
  }

  _drainQueue(force = false) {
    if (!this.connected || !this._queue.length) return;
    const entry = this._queue[0];
    if (entry.pending && !force) return;
    entry.pending = true;
    entry.tries += 1;
    this._flags = { fromQueue: true };
    this.emit(entry.event, ...entry.args, (error, ...answer) => {
      if (entry !== this._queue[0]) return; // answered before
      if (error) {
        if (entry.tries > this._options.retries) {
          this._queue.shift();
          if (entry.callback) entry.callback(error);
        }
      } else {
        this._queue.shift();
        if (entry.callback) entry.callback(null, ...answer);
      }
      entry.pending = false;
      this._drainQueue();
    });
  }

  _packet(packet) {
    switch (packet.type) {
      case PacketType.CONNECT:
        if (packet.data && packet.data.sid) this._connected(packet.data.sid, packet.data.pid);
        else this._emitReserved("connect_error", new Error("the server speaks Socket.IO 2.x, this client 3.x and later"));
        break;
      case PacketType.EVENT:
      case PacketType.BINARY_EVENT:
        this._event(packet);
        break;
      case PacketType.ACK:
      case PacketType.BINARY_ACK:
        this._ack(packet);
        break;
      case PacketType.DISCONNECT:
        this.log("disconnected by the server");
        this._unsubscribe();
        this._closed("io server disconnect");
        this.io._leave();
        break;
      case PacketType.CONNECT_ERROR: {
        this._unsubscribe();
        const error = new Error(packet.data.message || String(packet.data));
        error.data = packet.data.data;
        this._emitReserved("connect_error", error);
        this.io._leave();
        break;
      }
      default: // the parser lets no other pass
    }
  }

  _event(packet) {
    const args = packet.data || [];
    if (packet.id !== undefined) args.push(this._acknowledge(packet.id));
    // Missed events arrive before the server's CONNECT.
    if (this.connected) this._deliver(args);
    else this.receiveBuffer.push(args);
  }

  _deliver(args) {
    for (const listener of [...this._anyIncoming]) listener.apply(this, args);
    this._emitReserved(...args);
    const last = args[args.length - 1];
    if (this._pid && typeof last === "string") this._lastOffset = last;
  }

  _acknowledge(id) {
    let sent = false;
    return (...args) => {
      if (sent) return;
      sent = true;
      this.io._send({ type: PacketType.ACK, nsp: this.nsp, id, data: args });
    };
  }

  _ack({ id, data }) {
    const callback = this._acks.get(id);
    this._acks.delete(id);
    if (callback) callback.apply(this, data);
    else this.log("acknowledged, and not waited for:", id);
  }

  _connected(id, pid) {
    this.id = id;
    this.recovered = Boolean(pid && this._pid === pid);
    if (pid !== this._pid) this._lastOffset = undefined;
    this._pid = pid;
    this.connected = true;
    this.log("connected", id, this.recovered ? "(recovered)" : "");
    for (const args of this.receiveBuffer.splice(0)) this._deliver(args);
    for (const packet of this.sendBuffer.splice(0)) this._sendEvent(packet);
    this._emitReserved("connect");
    this._drainQueue(true);
  }

  _closed(reason, details) {
    if (!this.connected) return;
    this.log("disconnected:", reason);
    this.connected = false;
    this.id = undefined;
    this._emitReserved("disconnect", reason, details);
    // Nobody will answer what was sent on this connection; what still waits will be sent again.
    const waiting = new Set(this.sendBuffer.map((packet) => packet.id));
    for (const [id, callback] of [...this._acks]) {
      if (waiting.has(id)) continue;
      this._acks.delete(id);
      if (callback.withError) callback.reject(new Error("socket has been disconnected"));
    }
  }

  disconnect() {
    if (this.connected) this.io._send({ type: PacketType.DISCONNECT, nsp: this.nsp });
    this._unsubscribe();
    this.io._leave();
    if (this.connected) this._closed("io client disconnect");
    return this;
  }

  close() {
    return this.disconnect();
  }

  onAny(listener) {
    this._anyIncoming.push(listener);
    return this;
  }

  prependAny(listener) {
    this._anyIncoming.unshift(listener);
    return this;
  }

  offAny(listener) {
    this._anyIncoming = listener ? this._anyIncoming.filter((one) => one !== listener) : [];
    return this;
  }

  listenersAny() {
    return this._anyIncoming;
  }

  onAnyOutgoing(listener) {
    this._anyOutgoing.push(listener);
    return this;
  }

  prependAnyOutgoing(listener) {
    this._anyOutgoing.unshift(listener);
    return this;
  }

  offAnyOutgoing(listener) {
    this._anyOutgoing = listener ? this._anyOutgoing.filter((one) => one !== listener) : [];
    return this;
  }

  listenersAnyOutgoing() {
    return this._anyOutgoing;
  }
}
