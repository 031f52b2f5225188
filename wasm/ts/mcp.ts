/**
 * MCP's own types, as of revision 2026-07-28 (https://modelcontextprotocol.io/specification/2026-07-28/schema). They
 * name the members that this package's users meet; an authority may send more.
 */

/** Any JSON object. */
export type JsonObject = { [name: string]: unknown };

/** What every result may have. */
export interface Result {
  /** `complete`, `input_required`, or an extension's. */
  resultType?: string;
  /** Metadata, without the replica's own. */
  _meta?: JsonObject;
  [name: string]: unknown;
}

/** A block of content. */
export type ContentBlock = TextContent | ImageContent | AudioContent | ResourceLink | EmbeddedResource;

/** What every block of content may have. */
export interface Annotated {
  /** Hints for the client: audience, priority, when it was last modified. */
  annotations?: JsonObject;
  /** Metadata. */
  _meta?: JsonObject;
}

/** Text. */
export interface TextContent extends Annotated {
  /** Tells it apart. */
  type: "text";
  /** The text. */
  text: string;
}

/** An image. */
export interface ImageContent extends Annotated {
  /** Tells it apart. */
  type: "image";
  /** The bytes as base64. */
  data: string;
  /** Its media type, such as `image/png`. */
  mimeType: string;
}

/** Sound. */
export interface AudioContent extends Annotated {
  /** Tells it apart. */
  type: "audio";
  /** The bytes as base64. */
  data: string;
  /** Its media type, such as `audio/wav`. */
  mimeType: string;
}

/** A resource by reference. */
export interface ResourceLink extends Resource {
  /** Tells it apart. */
  type: "resource_link";
}

/** A resource with its contents. */
export interface EmbeddedResource extends Annotated {
  /** Tells it apart. */
  type: "resource";
  /** The contents. */
  resource: ResourceContents;
}

/** The result of `tools/call`. A tool's own failure is a result with `isError`, not an exception. */
export interface CallToolResult extends Result {
  /** What the tool says. */
  content: ContentBlock[];
  /** The same as structured data, if the tool has an output schema. */
  structuredContent?: unknown;
  /** True if the tool failed. */
  isError?: boolean;
}

/** A JSON Schema of objects. */
export interface ObjectSchema {
  /** Arguments are always an object. */
  type: "object";
  [keyword: string]: unknown;
}

/** A tool's definition. */
export interface Tool {
  /** Its name. */
  name: string;
  /** For display. */
  title?: string;
  /** For the model. */
  description?: string;
  /** JSON Schema of the arguments. */
  inputSchema: ObjectSchema;
  /** JSON Schema of `structuredContent`. */
  outputSchema?: JsonObject;
  /** Hints about its behaviour. */
  annotations?: JsonObject;
  /** Icons. */
  icons?: JsonObject[];
  /** Metadata. */
  _meta?: JsonObject;
}

/** A resource's definition. */
export interface Resource {
  /** Its URI. */
  uri: string;
  /** Its name. */
  name: string;
  /** For display. */
  title?: string;
  /** For the model. */
  description?: string;
  /** Its media type. */
  mimeType?: string;
  /** Its size in bytes. */
  size?: number;
  /** Hints for the client. */
  annotations?: JsonObject;
  /** Icons. */
  icons?: JsonObject[];
  /** Metadata. */
  _meta?: JsonObject;
}

/** A resource template's definition. */
export interface ResourceTemplate extends Omit<Resource, "uri" | "size"> {
  /** RFC 6570 template of its URIs. */
  uriTemplate: string;
}

/** A prompt's definition. */
export interface Prompt {
  /** Its name. */
  name: string;
  /** For display. */
  title?: string;
  /** For the model. */
  description?: string;
  /** Its arguments. */
  arguments?: PromptArgument[];
  /** Icons. */
  icons?: JsonObject[];
  /** Metadata. */
  _meta?: JsonObject;
}

/** An argument of a prompt. */
export interface PromptArgument {
  /** Its name. */
  name: string;
  /** For display. */
  title?: string;
  /** For whoever fills it in. */
  description?: string;
  /** Whether the prompt needs it. Default false. */
  required?: boolean;
}

/** Contents of a resource: text or base64. */
export interface ResourceContents {
  /** The URI. */
  uri: string;
  /** The media type. */
  mimeType?: string;
  /** The text, if it is text. */
  text?: string;
  /** The bytes as base64, if it is not. */
  blob?: string;
  /** Metadata. */
  _meta?: JsonObject;
}

/** The result of `resources/read`. Its remaining freshness is `cache.ttlMs` of the `…WithCache` form. */
export interface ReadResourceResult extends Result {
  /** The contents. */
  contents: ResourceContents[];
}

/** A page of a list. */
export interface Page extends Result {
  /** Asks for the next page; absent on the last one. */
  nextCursor?: string;
}

/** A page of tools. */
export interface ListToolsResult extends Page {
  /** The tools. */
  tools: Tool[];
}

/** A page of resources. */
export interface ListResourcesResult extends Page {
  /** The resources. */
  resources: Resource[];
}

/** A page of resource templates. */
export interface ListResourceTemplatesResult extends Page {
  /** The templates. */
  resourceTemplates: ResourceTemplate[];
}

/** A page of prompts. */
export interface ListPromptsResult extends Page {
  /** The prompts. */
  prompts: Prompt[];
}

/** The result of `prompts/get`. */
export interface GetPromptResult extends Result {
  /** What it is for. */
  description?: string;
  /** The messages. */
  messages: PromptMessage[];
}

/** A message of a prompt. */
export interface PromptMessage {
  /** Who says it. */
  role: "user" | "assistant";
  /** What is said. */
  content: ContentBlock;
}

/** The result of `completion/complete`. */
export interface CompleteResult extends Result {
  /** The proposals. */
  completion: Completion;
}

/** Proposals for an argument's value. */
export interface Completion {
  /** The best ones, at most 100. */
  values: string[];
  /** How many there are. */
  total?: number;
  /** Whether there are more than these. */
  hasMore?: boolean;
}

/** The result of `server/discover`. */
export interface DiscoverResult extends Result {
  /** Protocol versions. */
  supportedVersions: string[];
  /** What can be asked for. */
  capabilities: JsonObject;
  /** For the model. */
  instructions?: string;
}

/** Any JSON-RPC message: a request, a notification, a result or an error. */
export interface JsonRpcMessage {
  /** The version. */
  jsonrpc: "2.0";
  /** Pairs a request with its answer; absent on a notification. */
  id?: string | number | null;
  /** What is asked for or told. */
  method?: string;
  /** Its parameters. */
  params?: unknown;
  /** The result, on an answer. */
  result?: unknown;
  /** The error, on an answer. */
  error?: unknown;
}
