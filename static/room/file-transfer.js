/**
 * Files for the room: dropped on the call, picked, or pasted into the chat.
 */
import { upload } from '../client/upload.js';
import { byId } from '../common/dom.js';
import { uploadBody } from './chat-entry.js';

/** Uploads at once; the other files of a large drop wait. */
const PARALLEL = 2;

export class FileTransfer {
  #chat;
  #announce;
  #waiting = [];
  #running = 0;

  /**
   * @param {import('./chat.js').Chat} chat
   * @param {(file: {name: string, url: string, type: string}) => boolean} announce
   */
  constructor(chat, announce) {
    this.#chat = chat;
    this.#announce = announce;
    const input = byId('file-input');
    byId('chat-file').addEventListener('click', () => input.click());
    input.addEventListener('change', () => {
      this.send(input.files);
      input.value = '';
    });
    byId('chat-text').addEventListener('paste', (event) => {
      if (event.clipboardData?.files.length) {
        event.preventDefault();
        this.send(event.clipboardData.files);
      }
    });
    this.#acceptDrops(byId('call'), byId('drop-target'));
  }

  /** @param {Iterable<File>} files */
  send(files) {
    for (const file of files) {
      const line = uploadBody(file.name);
      this.#chat.addNode(line.element);
      this.#waiting.push({ file, line });
    }
    this.#next();
  }

  #next() {
    while (this.#running < PARALLEL && this.#waiting.length) {
      this.#running += 1;
      this.#sendOne(this.#waiting.shift()).finally(() => {
        this.#running -= 1;
        this.#next();
      });
    }
  }

  async #sendOne({ file, line }) {
    try {
      const stored = await upload(file, { onProgress: (fraction) => line.progress(fraction) });
      if (this.#announce(stored)) line.element.closest('li')?.remove();
      else line.fail('file.notAnnounced');
    } catch (error) {
      line.fail(`file.${error.problem ?? 'other'}`);
    }
  }

  #acceptDrops(area, sign) {
    const hasFiles = (event) => event.dataTransfer?.types.includes('Files');
    area.addEventListener('dragover', (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      event.dataTransfer.dropEffect = 'copy';
      sign.hidden = false;
    });
    area.addEventListener('dragleave', (event) => {
      if (!area.contains(event.relatedTarget)) sign.hidden = true;
    });
    area.addEventListener('drop', (event) => {
      sign.hidden = true;
      if (!hasFiles(event)) return;
      event.preventDefault();
      this.send(event.dataTransfer.files);
    });
  }
}
