// The chat page: asks, shows the answer as it comes, and says truly how it ended.
import { streamChat } from "./stream.js";

const find = (id) => document.getElementById(id);
const [picker, conversation, form, question, send, stop] = ["provider", "conversation", "ask", "question", "send", "stop"].map(find);
const messages = [];
let conversationId = null;
let running = null;

async function showProviders() {
  const health = await (await fetch("/health")).json();
  const ready = Object.keys(health.providers).filter((name) => health.providers[name] !== "NOT_CONFIGURED");
  picker.replaceChildren(...ready.map((name) => new Option(name)));
  find("demo").hidden = !health.demo;
}

function addMessage(role, text = "") {
  const article = document.createElement("article");
  article.className = role;
  article.textContent = text;
  conversation.append(article);
  article.scrollIntoView({ block: "end" });
  return article;
}

function addPart(article, kind) {
  const part = document.createElement(kind === "footer" ? "footer" : "div");
  part.className = kind;
  article.append(part);
  return part;
}

function describeEnd(end) {
  const fallback = end.fallback ? `, fallback from ${end.fallback.from}: ${end.fallback.reason}` : "";
  const tokens = end.usage?.output_tokens == null ? "" : `, ${end.usage.output_tokens} tokens`;
  return `${end.provider} ${end.model}${fallback}${tokens}, first word ${end.timing.first_content_ms} ms, all ${end.timing.total_ms} ms`;
}

function describeFailure(event) {
  if (event.type === "cut") return "Cut: the stream stopped before its end. This answer is not whole.";
  const { message, code, request_id: requestId } = event.error;
  return `${message} (${code}, request ${requestId})`;
}

async function answer(provider) {
  const article = addMessage("assistant");
  const [thinking, text, footer] = ["thinking", "text", "footer"].map((kind) => addPart(article, kind));
  running = new AbortController();
  try {
    const body = { messages, ...(conversationId && { conversation_id: conversationId }) };
    for await (const event of streamChat(provider, body, running.signal)) {
      conversationId = event.conversation_id ?? conversationId;
      thinking.append(event.delta?.reasoning ?? "");
      text.append(event.delta?.content || event.delta?.refusal || "");
      if (event.type === "end") footer.textContent = describeEnd(event);
      if (event.type === "error" || event.type === "cut") {
        footer.textContent = describeFailure(event);
        footer.classList.add("failed");
      }
      conversation.scrollTop = conversation.scrollHeight;
    }
  } catch (error) {
    footer.textContent = error.name === "AbortError" ? "Stopped." : `The gateway cannot be reached: ${error.message}`;
    footer.classList.add("failed");
  }
  if (text.textContent) messages.push({ role: "assistant", content: text.textContent });
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (running || !question.value.trim()) return;
  messages.push({ role: "user", content: question.value });
  addMessage("user", question.value);
  question.value = "";
  [send.disabled, stop.disabled] = [true, false];
  await answer(picker.value);
  running = null;
  [send.disabled, stop.disabled] = [false, true];
  question.focus();
});

question.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    form.requestSubmit();
  }
});

stop.addEventListener("click", () => running?.abort());

showProviders();
