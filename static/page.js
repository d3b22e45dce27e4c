// The chat page: puts its parts together, and does what the reader asks of them.

import { listenForMoves, readAddress, writeAddress } from "./address.js";
import { Chats } from "./chat/chats.js";
import { curlCommand } from "./chat/curl.js";
import { Database } from "./chat/database.js";
import { Desk } from "./chat/desk.js";
import { Disk } from "./chat/disk.js";
import { dropDraft, readDraft } from "./chat/drafts.js";
import { chatUrl, gatewayKey, keepGatewayKey } from "./chat/gateway.js";
import { choices, NAMED_BY_MODEL } from "./chat/kept.js";
import { Library } from "./chat/library.js";
import { Presets } from "./chat/presets.js";
import { findRefusal } from "./chat/request.js";
import { Search } from "./chat/search.js";
import { Tabs } from "./chat/tabs.js";
import { Keeping } from "./keeping.js";
import { announce } from "./view/announcer.js";
import { Composer } from "./view/composer.js";
import { askText, showKeys } from "./view/dialogs.js";
import { closeOnPhone, startDrawer, toggleDrawer } from "./view/drawer.js";
import { find } from "./view/elements.js";
import { keepPage, offerToInstall } from "./view/install.js";
import { describeFailure } from "./view/notices.js";
import { describeRefusal, openingNotice, showStorage } from "./view/storage_notice.js";
import { Picker } from "./view/picker.js";
import { listenForKeys } from "./view/shortcuts.js";
import { Sidebar } from "./view/sidebar.js";
import { Thread } from "./view/thread.js";
import { say } from "./words.js";

const picker = new Picker();
const limits = () => picker.limits;
const tabs = new Tabs();
const disk = new Disk(new Database());
const library = new Library({ disk, tabs, onChange: noteChange });
const chats = new Chats({ library, tabs, limits, onChange: noteRunning });
const desk = new Desk({ library, chats, limits, onChange: showDesk });
const presets = new Presets(disk);
const search = new Search(library);
const keeping = new Keeping({ library, presets, onRemove: stopAll });
const composer = new Composer({ onAsk: ask, onStop: stop, draftId: () => draftId(), limits });
const thread = new Thread(find("thread"), {
  edit: (turn, changed) => follow(desk.edit(turn, picker.provider, changed)),
  retry: again,
  goOn: (turn) => follow(desk.goOn(turn, picker.provider)),
  curl: (turn) => curlCommand(chatUrl(turn.answer.provider), desk.requestOf(turn), gatewayKey() !== ""),
  choose: (id) => desk.choose(id),
  compare: compareAnswers,
  askForKey,
  newChat,
  otherProvider: (provider) => picker.findOther(provider),
  providers: () => picker.providers,
  refusal: findRefusalWords,
});
const sidebar = new Sidebar({
  open,
  find: (words) => search.find(words),
  rename: (id) => keeping.rename(id),
  pin: (id) => keeping.pin(id),
  instruct,
  export: (id) => keeping.export(id),
  copyId: (id) => keeping.copyId(id),
  remove: (id) => keeping.remove(id),
});

// --- asking ------------------------------------------------------------------------------------------

/** Asks, and returns whether that was possible. */
function ask(text, images) {
  const refusal = picker.problem ?? (desk.state === "open" ? findRefusalWords({ text, images }) : say("open.wait"));
  if (refusal) {
    composer.say(refusal);
    return false;
  }
  dropDraft(draftId());
  follow(desk.ask(picker.provider, { text, images }));
  writeAddress(desk.id, { replaces: true });
  return true;
}

function findRefusalWords({ text, images }) {
  const refusal = findRefusal({ text, images }, picker.limits, desk.conversation?.systemPrompt);
  return refusal && describeRefusal(refusal);
}

/** Has an answer given anew, by another provider if one is named. */
function again(turn, provider = null) {
  if (provider) picker.provider = provider;
  return follow(desk.again(turn, picker.provider));
}

/** Goes along with an answer that was asked for, until it is over. */
async function follow(over) {
  const { id } = desk;
  picker.remember();
  thread.follow();
  const answer = await over;
  if (!answer) return; // it was asked for twice
  picker.refresh();
  if (answer.state === "whole" && isNamedByModel()) (await loadNaming()).nameConversation(library, id);
  if (answer.error?.code === "unauthorized" && id === desk.id) await askForKey(desk.turns.find(isOf(answer)));
}

const isNamedByModel = () => choices.get(NAMED_BY_MODEL) === "always";
const loadNaming = () => import("./chat/naming.js");
const isOf = (answer) => (turn) => turn.answer?.id === answer.id;

function stop() {
  desk.stop();
}

function stopAll(ids) {
  for (const id of ids) chats.stop(id);
}

async function askForKey(turn = null) {
  const fault = turn && gatewayKey() ? say("key.refused") : null;
  const options = { value: gatewayKey(), type: "password", yes: say("key.use"), note: say("key.note"), fault };
  const key = await askText(say("key"), options);
  if (key === null) return;
  keepGatewayKey(key);
  if (turn && key) again(turn);
}

async function compareAnswers(turn) {
  const answers = turn.versions.answer.ids.map((id) => desk.conversation.nodes[id]);
  const { compare } = await import("./view/compare.js");
  compare(answers, turn.answer.id, (id) => desk.choose(id));
}

// --- what is shown -----------------------------------------------------------------------------------

let drawnId = null;
let announced = {};

function noteChange({ ids, isListChanged }) {
  desk.noteChange(ids);
  if (ids.includes(desk.id) && desk.state === "open") showConversation();
  if (isListChanged) showList();
}

function noteRunning(id) {
  if (id === desk.id && desk.state === "open") showConversation();
  showList();
}

function showDesk() {
  find("welcome").hidden = !desk.isNew;
  if (desk.id !== drawnId) showDraft();
  drawnId = desk.id;
  if (desk.state === "open") showConversation();
  else if (desk.state === "removed") leaveRemoved();
  else thread.showNotice(openingNotice(desk, () => open(desk.id)));
  showList();
}

/** What is written before the page is ready is not lost for an older draft. */
function showDraft() {
  const draft = readDraft(draftId());
  composer.showDraft(drawnId === null && composer.text ? { ...draft, text: composer.text } : draft);
}

function showConversation() {
  const { conversation, turns, id, isRunning } = desk;
  find("welcome").hidden = !desk.isNew;
  find("instructions").setAttribute("aria-pressed", String(Boolean(conversation.systemPrompt)));
  if (thread.key !== id) picker.provider = conversation.provider;
  const isOther = thread.show(id, turns);
  composer.setRunning(isRunning);
  announceState(turns.at(-1)?.answer, { isQuiet: isOther && !isRunning });
  if (!document.hidden) desk.markSeen();
}

function showList() {
  sidebar.show(library.list(), { current: desk.id, isRunning: (id) => chats.isRunning(id) });
  showStorage(find("forgetful"), library.problem, library.isListed);
  document.title = [desk.conversation?.title, say("name")].filter(Boolean).join(" · ");
}

/** Says when an answer begins and how it ends, each once. */
function announceState(answer, { isQuiet }) {
  const words = answer ? describeState(answer) : null;
  if (words && !isQuiet && (announced.id !== answer.id || announced.words !== words)) announce(words);
  announced = { id: answer?.id, words };
}

function describeState(answer) {
  if (answer.state === "waiting") return null;
  if (answer.state === "failed") return say("said.failed", { message: describeFailure(answer) });
  return say(answer.state === "streaming" && answer.restart ? "said.restarted" : `said.${answer.state}`);
}

// --- conversations -----------------------------------------------------------------------------------

const draftId = () => (desk.isNew ? null : desk.id);

function open(id) {
  writeAddress(id);
  closeOnPhone();
  return show(id);
}

/** Shows what the address names. */
async function show(id) {
  if (id === desk.id && desk.state === "open") return;
  if (!id) desk.begin(picker.provider);
  else if (!(await desk.open(id))) {
    writeAddress("", { replaces: true });
    desk.begin(picker.provider);
  }
}

function newChat() {
  desk.begin(picker.provider);
  writeAddress("");
  closeOnPhone();
  composer.focus();
}

function leaveRemoved() {
  announce(say("conversation.removed"));
  desk.begin(picker.provider);
  writeAddress("", { replaces: true });
}

async function instruct(id) {
  const found = id === desk.id ? desk.conversation : await library.load(id).catch(() => null);
  if (!found) return announce(say("open.unreadable"));
  const { askInstructions } = await import("./view/instructions.js");
  const systemPrompt = await askInstructions(found.systemPrompt, presets);
  if (systemPrompt === null) return;
  const change = (conversation) => ({ ...conversation, systemPrompt });
  if (id === desk.id) desk.change(change);
  else library.change(id, change);
}

async function openSettings() {
  const settings = await import("./view/settings.js");
  settings.openSettings({ keeping, isBusy: () => chats.isReceiving(), onFacts: () => thread.redraw() });
}

// --- start -------------------------------------------------------------------------------------------

startDrawer();
offerToInstall();
find("new-chat").addEventListener("click", newChat);
find("new-chat-small").addEventListener("click", newChat);
find("instructions").addEventListener("click", () => desk.state === "open" && instruct(desk.id));
find("show-settings").addEventListener("click", openSettings);
find("show-keys").addEventListener("click", showKeys);
find("gateway-key").addEventListener("click", () => askForKey());
find("keys-close").addEventListener("click", () => find("keys").close());
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address names the conversation, and nothing within it
  composer.focus();
});
for (const idea of document.querySelectorAll(".idea")) {
  idea.addEventListener("click", () => composer.fill(idea.textContent.trim()));
}
listenForMoves(show);
listenForKeys({ newChat, stop, showKeys, toggleList: toggleDrawer, focusQuestion: () => composer.focus() });
document.addEventListener("visibilitychange", () => {
  if (document.hidden) library.save();
  else desk.markSeen();
});
addEventListener("beforeunload", () => chats.prepareToLeave());
addEventListener("pagehide", () => {
  chats.leave();
  library.save();
});

if (isNamedByModel()) loadNaming();
library.start().then(() => (document.body.dataset.listed = ""));
await picker.refresh();
show(readAddress() ?? "");
composer.focus();
document.body.dataset.ready = "";
composer.sendWhatWaits();
keepPage();
