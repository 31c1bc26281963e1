// Socket.IO packets, protocol 5, in JSON. https://socket.io/docs/v4/socket-io-protocol/

export const PacketType = Object.freeze({
  CONNECT: 0,
  DISCONNECT: 1,
  EVENT: 2,
  ACK: 3,
  CONNECT_ERROR: 4,
  BINARY_EVENT: 5,
  BINARY_ACK: 6,
});

// What a server may not name an event: the client's own.
export const RESERVED_EVENTS = new Set([
  "connect",
  "connect_error",
  "disconnect",
  "disconnecting",
  "newListener",
  "removeListener",
]);

// As many as Node's parser takes since CVE-2026-33151.
export const MAX_ATTACHMENTS = 10;

export function isBinary(value) {
  return (
    value instanceof ArrayBuffer ||
    ArrayBuffer.isView(value) ||
    (typeof Blob !== "undefined" && value instanceof Blob)
  );
}

// Return a copy with the binary parts taken out into a list.
function takeOut(value, attachments) {
  if (value === null || typeof value !== "object") return value;
  if (isBinary(value)) {
    attachments.push(value);
    return { _placeholder: true, num: attachments.length - 1 };
  }
  if (Array.isArray(value)) return value.map((item) => takeOut(item, attachments));
  if (typeof value.toJSON === "function") return takeOut(value.toJSON(), attachments);
  const copy = {};
  for (const key of Object.keys(value)) copy[key] = takeOut(value[key], attachments);
  return copy;
}

function hasBinary(value) {
  if (value === null || typeof value !== "object") return false;
  if (isBinary(value)) return true;
  if (Array.isArray(value)) return value.some(hasBinary);
  if (typeof value.toJSON === "function") return hasBinary(value.toJSON());
  return Object.keys(value).some((key) => hasBinary(value[key]));
}

function putBack(value, attachments) {
  if (value === null || typeof value !== "object") return value;
  if (value._placeholder === true) {
    if (!Number.isInteger(value.num) || value.num < 0 || value.num >= attachments.length) {
      throw new Error("illegal attachments");
    }
    return attachments[value.num];
  }
  for (const key of Object.keys(value)) value[key] = putBack(value[key], attachments);
  return value;
}

// Return the text of a packet and its attachments: what Engine.IO sends as messages.
export function encode(packet) {
  let { type, data } = packet;
  const attachments = [];
  if ((type === PacketType.EVENT || type === PacketType.ACK) && hasBinary(data)) {
    data = takeOut(data, attachments);
    type = type === PacketType.EVENT ? PacketType.BINARY_EVENT : PacketType.BINARY_ACK;
  }
  let text = String(type);
  if (attachments.length) text += `${attachments.length}-`;
  if (packet.nsp && packet.nsp !== "/") text += `${packet.nsp},`;
  if (packet.id !== undefined) text += packet.id;
  if (data !== undefined) text += JSON.stringify(data);
  return [text, ...attachments];
}

function decodeText(text) {
  const found = /^([0-6])(?:(\d+)-)?(?:(\/[^,]*),?)?(\d+)?/.exec(text);
  if (!found) throw new Error(`no packet: ${text.slice(0, 40)}`);
  const packet = { type: Number(found[1]), nsp: found[3] || "/" };
  const binary = packet.type >= PacketType.BINARY_EVENT;
  if (binary !== (found[2] !== undefined)) throw new Error("illegal attachments");
  if (binary) packet.attachments = Number(found[2]);
  if (found[4] !== undefined) packet.id = Number(found[4]);
  const rest = text.slice(found[0].length);
  if (rest) packet.data = JSON.parse(rest);
  check(packet);
  return packet;
}

function check({ type, data }) {
  let good;
  switch (type) {
    case PacketType.CONNECT:
      good = data === undefined || (typeof data === "object" && data !== null);
      break;
    case PacketType.DISCONNECT:
      good = data === undefined;
      break;
    case PacketType.CONNECT_ERROR:
      good = typeof data === "string" || (typeof data === "object" && data !== null);
      break;
    case PacketType.EVENT:
    case PacketType.BINARY_EVENT:
      good =
        Array.isArray(data) &&
        (typeof data[0] === "number" ||
          (typeof data[0] === "string" && !RESERVED_EVENTS.has(data[0])));
      break;
    default:
      good = Array.isArray(data);
  }
  if (!good) throw new Error("invalid payload");
}

// Puts packets together from the messages of Engine.IO.
export class Decoder {
  constructor(onPacket, maxAttachments = MAX_ATTACHMENTS) {
    this._onPacket = onPacket;
    this._max = maxAttachments;
    this._pending = null;
    this._attachments = [];
  }

  add(message) {
    if (typeof message !== "string") {
      if (!this._pending) throw new Error("got binary data when not reconstructing a packet");
      this._attachments.push(message);
    } else {
      if (this._pending) throw new Error("got plaintext data when reconstructing a packet");
      const packet = decodeText(message);
      if (!packet.attachments) {
        this._onPacket(packet);
        return;
      }
      if (packet.attachments > this._max) throw new Error("too many attachments");
      this._pending = packet;
    }
    if (this._attachments.length < this._pending.attachments) return;
    const packet = this._pending;
    packet.data = putBack(packet.data, this._attachments);
    delete packet.attachments;
    this.reset();
    this._onPacket(packet);
  }

  reset() {
    this._pending = null;
    this._attachments = [];
  }
}
