// A page without a page: the chat of the AI SDK that `useChat` shows, over its own transport.
// Takes what to do as JSON, and prints what the page would show. Runs where the packages are.

const asked = JSON.parse(process.argv[2]);
const sdk = await import("ai");

class PlainState {
  messages = [];
  status = "ready";
  error = undefined;
  writes = 0;

  pushMessage = (message) => this.#write([...this.messages, message]);
  popMessage = () => this.#write(this.messages.slice(0, -1));
  replaceMessage = (place, message) => this.#write(this.messages.with(place, message));
  snapshot = (value) => structuredClone(value);

  #write(messages) {
    this.messages = structuredClone(messages);
    this.writes += 1;
    const shown = messages.at(-1)?.parts.some((part) => part.type === "text" && part.text);
    if (asked.stop && shown && messages.at(-1).role === "assistant") chat.stop();
  }
}

class PlainChat extends sdk.AbstractChat {
  constructor(options) {
    super({ ...options, state: new PlainState() });
  }

  get writes() {
    return this.state.writes;
  }
}

const finished = [];

function runTool({ toolCall: { toolName, toolCallId } }) {
  const outcome = asked.tools?.[toolName];
  if (!outcome) return;
  const add = chat.addToolOutput ?? chat.addToolResult;
  // Not awaited: the chat waits for this function, and the addition for the chat.
  add({ tool: toolName, toolCallId, ...outcome });
}

const chat = new PlainChat({
  id: "chat-1",
  transport: new sdk.DefaultChatTransport({ api: asked.api, body: asked.body, headers: asked.headers }),
  onToolCall: runTool,
  onFinish: ({ isAbort, isDisconnect, isError }) => finished.push({ isAbort, isDisconnect, isError }),
  sendAutomaticallyWhen: sdk.lastAssistantMessageIsCompleteWithToolCalls,
});

for (const message of asked.says) {
  await (message === "resume" ? chat.resumeStream() : chat.sendMessage(message));
}
console.log(
  JSON.stringify({
    status: chat.status,
    error: chat.error?.message ?? null,
    messages: chat.messages,
    finished,
    writes: chat.writes,
  }),
);
