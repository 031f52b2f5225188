// What is used of Node's modules, so that building needs no types of Node.
declare module "node:fs" {
  export function readFileSync(path: URL): Uint8Array<ArrayBuffer>;
}

declare module "node:fs/promises" {
  interface FileHandle {
    writeFile(bytes: Uint8Array): Promise<void>;
    sync(): Promise<void>;
    close(): Promise<void>;
  }
  export function mkdir(path: string, options: { recursive: true; mode: number }): Promise<unknown>;
  export function open(path: string, flags: string, mode: number): Promise<FileHandle>;
  export function readFile(path: string): Promise<Uint8Array<ArrayBuffer>>;
  export function rename(from: string, to: string): Promise<void>;
  export function rm(path: string, options: { force: true }): Promise<void>;
}

declare module "node:http" {
  export interface IncomingMessage {
    readonly method: string;
    readonly url: string;
    readonly headers: { readonly host?: string };
  }
  export interface ServerResponse {
    writeHead(status: number, headers: Record<string, string>): this;
    end(body: string): this;
    once(event: "close", listener: () => void): this;
  }
  export interface Server {
    maxConnections: number;
    listen(port: number, host: string, listener: () => void): this;
    once(event: "error", listener: (error: Error) => void): this;
    address(): { readonly port: number };
    ref(): this;
    unref(): this;
    close(listener: () => void): this;
    closeAllConnections(): void;
  }
  export function createServer(listener: (request: IncomingMessage, response: ServerResponse) => void): Server;
}

declare module "node:child_process" {
  interface ChildProcess {
    once(event: "error", listener: (error: Error) => void): this;
    once(event: "exit", listener: (status: number | null) => void): this;
    unref(): void;
  }
  export function spawn(
    command: string,
    args: readonly string[],
    options: { detached: boolean; stdio: "ignore" },
  ): ChildProcess;
}

declare module "node:process" {
  export const platform: string;
  export const env: { readonly [name: string]: string | undefined };
}
