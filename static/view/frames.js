// Draws at most once a frame, and leaves the page the greater part of its time where drawing is slow.

const SHARE = 3; // a drawing that took a while is followed by a pause this many times as long

/** A function that asks for `draw` to be called soon; many calls are one. */
export function oncePerFrame(draw) {
  let isAsked = false;
  let restedAt = 0;
  const attempt = (now) => {
    if (now < restedAt) return requestAnimationFrame(attempt);
    isAsked = false;
    const began = performance.now();
    draw();
    restedAt = performance.now() + (performance.now() - began) * SHARE;
  };
  return () => {
    if (!isAsked) requestAnimationFrame(attempt);
    isAsked = true;
  };
}

const TURN_MILLISECONDS = 50; // of drawing a frame
const waiting = new Set();
const askForTurn = oncePerFrame(() => takeTurns(0));
let spent = 0; // of this frame

/**
 * Calls `draw` at once if this frame has time left, else in a later one, after those that wait already; and again, in
 * its turn, until it returns true.
 */
export function drawInTurn(draw) {
  waiting.add(draw);
  takeTurns(spent);
}

function takeTurns(spentBefore) {
  const began = performance.now() - spentBefore;
  spent = spentBefore;
  while (waiting.size && spent < TURN_MILLISECONDS) {
    const [draw] = waiting;
    waiting.delete(draw);
    if (!draw()) waiting.add(draw);
    spent = performance.now() - began;
  }
  if (spent) askForTurn();
}
