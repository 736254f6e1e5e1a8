// How long a transcription will still take, from what was done so far.

/**
 * Returns a function that takes each progress of the API, {done_s, duration_s}, with the time in seconds, and returns
 * {doneS, durationS, leftS}. leftS is null until the second segment is done: the first one also waited for the file to
 * be read, so it says nothing about the speed.
 */
export function timeLeft() {
  let first = null;
  let latest = null;
  return ({ done_s: doneS, duration_s: durationS }, nowS) => {
    if (doneS > (latest?.doneS ?? 0)) latest = { doneS, nowS };
    first ??= latest;
    if (!durationS || !latest || latest.doneS === first.doneS) return { doneS, durationS, leftS: null };
    const speed = (latest.doneS - first.doneS) / (latest.nowS - first.nowS);
    return { doneS, durationS, leftS: Math.max(1, (durationS - doneS) / speed - (nowS - latest.nowS)) };
  };
}
