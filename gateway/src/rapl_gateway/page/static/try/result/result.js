// A transcript as the server answered it, and what its headers say.

const DAMAGE = /damaged|breaks off/; // how the API words damage, in `reason`
const OVERLAP_S = 0.05;

export class Result {
  /**
   * @param {string} text the body: verbose_json or diarized_json.
   * @param {Headers} headers of the answer.
   */
  constructor(text, headers) {
    const { subtitles, ...json } = JSON.parse(text);
    this.json = json;
    /** The files {srt, vtt} as the server makes them. */
    this.subtitles = subtitles;
    this.text = this.json.text;
    this.segments = this.json.segments ?? [];
    this.durationS = this.json.duration ?? this.segments.at(-1)?.end ?? 0;
    this.coverage = this.json.coverage ?? null;
    this.damagedS = this.json.damaged_s ?? 0;
    this.problems = (this.json.problems ?? []).map((problem) => this.#place(problem));
    this.languages = [...new Set(this.segments.map((segment) => segment.language).filter(Boolean))];
    this.mainLanguage = mostFrequent(this.segments.map((segment) => segment.language));
    this.speakers = [...new Set(this.segments.map((segment) => segment.speaker).filter(Boolean))];
    this.fallback = headers.get("x-rapl-fallback");
    this.stages = stagesOf(headers.get("server-timing") ?? "");
  }

  /** What the transcript has, in order of time: segments, and problems under which no segment lies. */
  get rows() {
    const segments = this.segments.map((segment) => ({
      ...segment,
      problem: this.problems.find((problem) => overlap(problem, segment)) ?? null,
    }));
    const alone = this.problems.filter(
      (problem) => problem.isDamage || !segments.some((each) => each.problem === problem),
    );
    const places = alone.map((problem) => ({ start: problem.start, end: problem.end, text: null, problem }));
    return [...segments, ...places].sort((one, other) => one.start - other.start);
  }

  #place({ start, end, reason }) {
    return { start, end: end ?? Math.max(start, this.durationS), reason, isDamage: DAMAGE.test(reason) };
  }
}

function mostFrequent(values) {
  const counts = new Map();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].sort(([, one], [, other]) => other - one)[0]?.[0] ?? null;
}

function overlap(one, other) {
  return Math.min(one.end, other.end) - Math.max(one.start, other.start) > OVERLAP_S;
}

/** Returns the stages of a `Server-Timing` header as [{name, ms}], without the total. */
export function stagesOf(header) {
  const entries = header.split(",").map((entry) => entry.trim().split(";"));
  const stages = entries.map(([name, duration]) => ({ name, ms: Number(duration?.replace("dur=", "")) }));
  return stages.filter(({ name, ms }) => name && name !== "total" && Number.isFinite(ms));
}
