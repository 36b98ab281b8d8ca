/**
 * Checks several times a second who is muted, whose picture is missing and who has spoken for a while, and shows that on the
 * stage. The server says who speaks.
 */
import { LevelMeter, loudness } from '../client/level-meter.js';

const INTERVAL_MS = 150;
/** The loudness of one's own microphone (0 at −60 dB, 1 at full scale) from which it is speech and no longer the room's noise. */
const SPEECH = 0.36;
/** The place of the speaker changes only when somebody else has spoken for this long. */
const SPEAKER_CHANGE_MS = 900;
/** A new connection gets this long to bring sound before its owner counts as muted. */
const SETTLE_MS = 2000;
/** Somebody who comes back to the page waits this long for pictures that were not sent meanwhile; the last ones stay. */
const RETURN_MS = 2500;
/** Talking while muted for this long is worth a hint. */
const MUTED_TALK_MS = 900;

export class Activity {
  #client;
  #media;
  #stage;
  #onMutedTalk;
  #meter = new LevelMeter();
  #timer = 0;
  #candidate = { id: null, since: 0 };
  #connectedAt = new WeakMap();
  #mutedTalkSince = 0;
  #hinted = false;
  #awayAt = -Infinity;

  constructor({ client, media, stage, onMutedTalk }) {
    this.#client = client;
    this.#media = media;
    this.#stage = stage;
    this.#onMutedTalk = onMutedTalk;
  }

  start() {
    this.stop();
    this.#timer = setInterval(() => this.#look(), INTERVAL_MS);
  }

  stop() {
    clearInterval(this.#timer);
    this.#meter.stop();
  }

  #look() {
    const now = performance.now();
    // Without the server there is no news: the last state stays.
    if (this.#client.state === 'joined') this.#lookAtOthers(now);
    this.#lookAtSelf(now);
    this.#chooseSpeaker(now);
  }

  #lookAtOthers(now) {
    if (document.hidden) this.#awayAt = now;
    const isBack = now - this.#awayAt > RETURN_MS;
    for (const [id, participant] of this.#client.participants) {
      const tile = this.#stage.tiles.get(id);
      if (!tile) continue;
      if (isBack || participant.hasVideo) tile.setVideoShown(participant.hasVideo);
      tile.setMuted(this.#settled(participant, now) && !participant.hasAudio);
    }
  }

  #lookAtSelf(now) {
    const { tracks, sendingAudio } = this.#media;
    this.#meter.listen(tracks.audio);
    const speaks = loudness(this.#meter.level) > SPEECH;
    if (sendingAudio) this.#hinted = false;
    if (sendingAudio || !speaks) {
      this.#mutedTalkSince = now;
    } else if (!this.#hinted && now - this.#mutedTalkSince > MUTED_TALK_MS) {
      this.#hinted = true;
      this.#onMutedTalk();
    }
  }

  /** Of several speakers, the one who began last gets the place: the others have had it. */
  #chooseSpeaker(now) {
    const { speakers, userId } = this.#client;
    const id = speakers.findLast((one) => one !== userId) ?? null;
    if (id !== this.#candidate.id) this.#candidate = { id, since: now };
    else if (id && now - this.#candidate.since > SPEAKER_CHANGE_MS) this.#stage.setSpeaker(id);
  }

  #settled(participant, now) {
    const { pc } = participant;
    if (!pc || participant.state !== 'connected') return false;
    if (!this.#connectedAt.has(pc)) this.#connectedAt.set(pc, now);
    return now - this.#connectedAt.get(pc) > SETTLE_MS;
  }
}
