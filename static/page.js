// The chat page: puts its parts together, and does what the reader asks of them.

import { closeForgotten } from "./chat/answer.js";
import { Chats } from "./chat/chats.js";
import { addTurn, dropFrom, newConversation, requestBody, toMarkdown } from "./chat/conversation.js";
import { curlCommand } from "./chat/curl.js";
import { chatUrl, gatewayKey, keepGatewayKey } from "./chat/gateway.js";
import { openStore } from "./chat/store.js";
import { announce } from "./view/announcer.js";
import { copy } from "./view/clipboard.js";
import { Composer } from "./view/composer.js";
import { askText, confirm, showKeys } from "./view/dialogs.js";
import { download, fileName } from "./view/download.js";
import { closeOnPhone, startDrawer, toggleDrawer } from "./view/drawer.js";
import { find } from "./view/elements.js";
import { describeFailure } from "./view/notices.js";
import { keepPage, offerToInstall } from "./view/install.js";
import { Picker } from "./view/picker.js";
import { listenForKeys } from "./view/shortcuts.js";
import { Sidebar } from "./view/sidebar.js";
import { startSettings } from "./view/settings.js";
import { startTheme } from "./view/theme.js";
import { Thread } from "./view/thread.js";
import { say } from "./words.js";

const store = await openStore();
const chats = new Chats(store, showChange);
const thread = new Thread(find("thread"), { edit, retry: again, curl, askForKey, newChat, otherProvider });
const composer = new Composer({ onAsk: ask, onStop: stop });
const picker = new Picker();
const sidebar = new Sidebar({ open, rename, remove, export: exportAs, copyId });
let conversation = newConversation(picker.provider);

// --- asking ------------------------------------------------------------------------------------------

/** Asks, and returns whether that was possible. */
function ask(text, images) {
  if (picker.problem) {
    composer.say(picker.problem);
    return false;
  }
  const turn = addTurn(conversation, text, images);
  find("welcome").hidden = true;
  thread.add(turn);
  answer(turn);
  return true;
}

/** Has the last answer given anew, by another provider if one is named. */
function again(turn, provider = null) {
  if (provider) conversation.provider = picker.provider = provider;
  return edit(turn, turn.text);
}

function otherProvider(provider) {
  return picker.findOther(provider);
}

/** Puts an earlier question another way, and goes on from there; an answer that is still coming is stopped. */
async function edit(turn, text) {
  const edited = conversation;
  await chats.stop(edited);
  dropFrom(edited, turn);
  if (edited === conversation) await askAnew(text, turn.images);
}

function askAnew(text, images) {
  const turn = addTurn(conversation, text, images);
  showConversation();
  return answer(turn);
}

async function answer(turn) {
  const asked = conversation;
  asked.provider = picker.provider || asked.provider; // what the reader sees is what is asked
  picker.remember();
  location.hash = asked.id;
  thread.follow();
  const over = chats.ask(asked, turn);
  composer.setRunning(true);
  await showList();
  await over;
  composer.setRunning(chats.isRunning(conversation));
  await showList();
  picker.refresh();
  if (turn.answer.error?.code === "unauthorized" && asked === conversation) await askForKey(turn);
}

function stop() {
  chats.stop(conversation);
}

function showChange(changed, turn) {
  thread.change(changed, turn);
  if (changed === conversation) announceState(turn.answer);
}

let announced = null;

/** Says when an answer begins and how it ends, each once. */
function announceState(answer) {
  const words = describeState(answer);
  if (words && words !== announced) announce(words);
  announced = words;
}

function describeState(answer) {
  if (answer.state === "waiting") return null;
  if (answer.state === "failed") return say("said.failed", { message: describeFailure(answer) });
  return say(answer.state === "streaming" && answer.restart ? "said.restarted" : `said.${answer.state}`);
}

// --- the gateway's key -------------------------------------------------------------------------------

async function askForKey(turn = null) {
  const fault = turn && gatewayKey() ? say("key.refused") : null;
  const options = { value: gatewayKey(), type: "password", yes: say("key.use"), note: say("key.note"), fault };
  const key = await askText(say("key"), options);
  if (key === null) return;
  keepGatewayKey(key);
  if (turn && key) again(turn);
}

function curl(turn) {
  return curlCommand(chatUrl(turn.answer.provider), requestBody(conversation, turn), gatewayKey() !== "");
}

// --- conversations -----------------------------------------------------------------------------------

async function showList() {
  sidebar.show(await store.list(), conversation.id);
  document.title = [conversation.title, say("name")].filter(Boolean).join(" · ");
}

function showConversation() {
  find("welcome").hidden = conversation.turns.length > 0;
  thread.show(conversation);
  picker.provider = conversation.provider;
  composer.setRunning(chats.isRunning(conversation));
}

async function open(id) {
  const found = chats.running(id) ?? (await store.load(id));
  if (!found) return newChat();
  if (!chats.isRunning(found)) for (const turn of found.turns) closeForgotten(turn.answer);
  conversation = found;
  location.hash = id;
  showConversation();
  await showList();
  closeOnPhone();
}

async function newChat() {
  conversation = newConversation(picker.provider);
  history.replaceState(null, "", location.pathname);
  showConversation();
  await showList();
  closeOnPhone();
  composer.focus();
}

async function rename({ id, title }) {
  const renamed = await askText(say("conversation.rename.title"), { value: title });
  if (!renamed) return;
  const found = id === conversation.id ? conversation : (chats.running(id) ?? (await store.load(id)));
  found.title = renamed;
  await store.save(found);
  await showList();
}

async function remove({ id, title }) {
  if (!(await confirm(say("conversation.delete.question", { title }), { yes: say("conversation.delete") }))) return;
  chats.forget(id);
  await store.remove(id);
  announce(say("conversation.deleted"));
  if (id === conversation.id) await newChat();
  else await showList();
}

async function exportAs(id) {
  const found = chats.running(id) ?? (await store.load(id));
  download(fileName(found.title), toMarkdown(found));
}

async function copyId(id) {
  const found = chats.running(id) ?? (await store.load(id));
  announce(say((await copy(found.conversationId ?? "")) ? "conversation.id_copied" : "copied.not"));
}

// --- start -------------------------------------------------------------------------------------------

startTheme();
startDrawer();
offerToInstall();
startSettings({ onFacts: () => thread.show(conversation) });
find("new-chat").addEventListener("click", newChat);
find("new-chat-small").addEventListener("click", newChat);
find("show-keys").addEventListener("click", showKeys);
find("gateway-key").addEventListener("click", () => askForKey());
find("keys-close").addEventListener("click", () => find("keys").close());
find("forgetful").hidden = store.isLasting;
for (const idea of document.querySelectorAll(".idea")) {
  idea.addEventListener("click", () => composer.fill(idea.textContent.trim()));
}
addEventListener("hashchange", () => location.hash.slice(1) !== conversation.id && open(location.hash.slice(1)));
listenForKeys({ newChat, stop, showKeys, toggleList: toggleDrawer, focusQuestion: () => composer.focus() });

await picker.refresh();
if (location.hash) await open(location.hash.slice(1));
else await newChat();
document.body.dataset.ready = "";
composer.sendWhatWaits();
keepPage();
