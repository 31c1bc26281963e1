// Types of duplexio.js, the client of duplexio: the names are those of socket.io-client.

export interface EventsMap {
  [event: string]: any;
}
export interface DefaultEventsMap {
  [event: string]: (...args: any[]) => void;
}
type Names<Map extends EventsMap> = keyof Map & (string | symbol);
type Params<Map extends EventsMap, Name extends Names<Map>> = Parameters<Map[Name]>;
type Last<T extends any[]> = T extends [...any, infer L] ? L : any;
type AllButLast<T extends any[]> = T extends [...infer H, infer _L] ? H : any[];
type FirstArgument<T> = T extends (arg: infer P) => any ? P : any;

export interface ConnectError extends Error {
  /** What the server's refusal carries. */
  data?: any;
}

export type DisconnectReason =
  | "io server disconnect"
  | "io client disconnect"
  | "ping timeout"
  | "transport close"
  | "transport error"
  | "parse error";

interface SocketReservedEvents {
  connect: () => void;
  connect_error: (error: ConnectError) => void;
  disconnect: (reason: DisconnectReason, details?: unknown) => void;
}

interface ManagerReservedEvents {
  open: () => void;
  error: (error: Error) => void;
  ping: () => void;
  close: (reason: string, details?: unknown) => void;
  reconnect_attempt: (attempt: number) => void;
  reconnect: (attempt: number) => void;
  reconnect_error: (error: Error) => void;
  reconnect_failed: () => void;
}

declare class Emitter<Events extends EventsMap> {
  on<E extends Names<Events>>(event: E, listener: Events[E]): this;
  once<E extends Names<Events>>(event: E, listener: Events[E]): this;
  off<E extends Names<Events>>(event?: E, listener?: Events[E]): this;
  addListener<E extends Names<Events>>(event: E, listener: Events[E]): this;
  addEventListener<E extends Names<Events>>(event: E, listener: Events[E]): this;
  removeListener<E extends Names<Events>>(event?: E, listener?: Events[E]): this;
  removeEventListener<E extends Names<Events>>(event?: E, listener?: Events[E]): this;
  removeAllListeners<E extends Names<Events>>(event?: E): this;
  listeners<E extends Names<Events>>(event: E): Events[E][];
  hasListeners<E extends Names<Events>>(event: E): boolean;
}

export interface SocketOptions {
  /** Sent at each connection: a value, or a function that gives one. */
  auth?: { [key: string]: any } | ((give: (data: object) => void) => void);
  /** Times that an event is sent again until it is acknowledged. */
  retries?: number;
  /** Milliseconds that an acknowledgement may take. */
  ackTimeout?: number;
  /** Events that may wait for a connection (1000). */
  offlinePackets?: number;
  /** What happens to one more: an exception ("fail", the default), or one is dropped. */
  offlinePolicy?: "fail" | "drop-oldest" | "drop-newest";
}

export interface ManagerOptions extends SocketOptions {
  path?: string;
  addTrailingSlash?: boolean;
  query?: { [key: string]: string };
  transports?: ("polling" | "websocket")[];
  upgrade?: boolean;
  tryAllTransports?: boolean;
  rememberUpgrade?: boolean;
  withCredentials?: boolean;
  extraHeaders?: { [name: string]: string };
  protocols?: string | string[];
  timestampRequests?: boolean;
  timestampParam?: string;
  forceNew?: boolean;
  multiplex?: boolean;
  autoConnect?: boolean;
  autoUnref?: boolean;
  reconnection?: boolean;
  reconnectionAttempts?: number;
  reconnectionDelay?: number;
  reconnectionDelayMax?: number;
  randomizationFactor?: number;
  timeout?: number | false;
  /** Attachments that an event of the server may have (10). */
  maxAttachments?: number;
  /** The class of WebSockets, where there is no global one: that of the package ws, in old Nodes. */
  WebSocket?: any;
}

export class Manager<
  ListenEvents extends EventsMap = DefaultEventsMap,
  EmitEvents extends EventsMap = ListenEvents,
> extends Emitter<ManagerReservedEvents> {
  constructor(uri?: string, options?: ManagerOptions);
  constructor(options?: ManagerOptions);
  readonly opts: ManagerOptions;
  engine: any;
  reconnection(value?: boolean): any;
  reconnectionAttempts(value?: number): any;
  reconnectionDelay(value?: number): any;
  reconnectionDelayMax(value?: number): any;
  randomizationFactor(value?: number): any;
  timeout(value?: number | false): any;
  open(callback?: (error?: Error) => void): this;
  connect(callback?: (error?: Error) => void): this;
  socket(nsp: string, options?: SocketOptions): Socket<ListenEvents, EmitEvents>;
  disconnect(): void;
}

export class Socket<
  ListenEvents extends EventsMap = DefaultEventsMap,
  EmitEvents extends EventsMap = ListenEvents,
> extends Emitter<ListenEvents & SocketReservedEvents> {
  readonly io: Manager<ListenEvents, EmitEvents>;
  readonly nsp: string;
  id: string | undefined;
  connected: boolean;
  readonly disconnected: boolean;
  readonly active: boolean;
  /** Whether the connection goes on where the one before had stopped. */
  recovered: boolean;
  auth: { [key: string]: any } | ((give: (data: object) => void) => void);
  sendBuffer: object[];
  receiveBuffer: any[][];
  readonly volatile: this;
  connect(): this;
  open(): this;
  disconnect(): this;
  close(): this;
  compress(value: boolean): this;
  timeout(milliseconds: number): this;
  send(...args: any[]): this;
  emit<E extends Names<EmitEvents>>(event: E, ...args: Params<EmitEvents, E>): this;
  emitWithAck<E extends Names<EmitEvents>>(
    event: E,
    ...args: AllButLast<Params<EmitEvents, E>>
  ): Promise<FirstArgument<Last<Params<EmitEvents, E>>>>;
  onAny(listener: (event: string, ...args: any[]) => void): this;
  prependAny(listener: (event: string, ...args: any[]) => void): this;
  offAny(listener?: (event: string, ...args: any[]) => void): this;
  listenersAny(): ((...args: any[]) => void)[];
  onAnyOutgoing(listener: (event: string, ...args: any[]) => void): this;
  prependAnyOutgoing(listener: (event: string, ...args: any[]) => void): this;
  offAnyOutgoing(listener?: (event: string, ...args: any[]) => void): this;
  listenersAnyOutgoing(): ((...args: any[]) => void)[];
}

export function io<
  ListenEvents extends EventsMap = DefaultEventsMap,
  EmitEvents extends EventsMap = ListenEvents,
>(uri?: string, options?: ManagerOptions): Socket<ListenEvents, EmitEvents>;
export function io<
  ListenEvents extends EventsMap = DefaultEventsMap,
  EmitEvents extends EventsMap = ListenEvents,
>(options?: ManagerOptions): Socket<ListenEvents, EmitEvents>;

export { io as connect, io as default };
export const protocol: 5;
