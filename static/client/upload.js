/**
 * Sends a file to the server's store, with progress. The room client announces it to a room.
 */

/** @typedef {'tooLarge' | 'typeRefused' | 'storeFull' | 'busy' | 'network' | 'aborted' | 'other'} UploadProblem */

export class UploadError extends Error {
  /** @param {UploadProblem} problem */
  constructor(problem, detail = '') {
    super(detail || problem);
    this.problem = problem;
  }
}

const PROBLEMS = { 408: 'network', 413: 'tooLarge', 415: 'typeRefused', 503: 'busy', 507: 'storeFull' };

/**
 * @param {File} file
 * @param {{onProgress?: (fraction: number) => void, signal?: AbortSignal, url?: string}} [options]
 * @returns {Promise<{url: string, name: string, type: string}>} as the server keeps it: it may have cleaned the name
 */
export function upload(file, { onProgress = () => {}, signal, url = '/files' } = {}) {
  return new Promise((resolve, reject) => {
    // fetch() does not report how much of a body was sent.
    const request = new XMLHttpRequest();
    const form = new FormData();
    form.append('file', file, file.name);
    request.open('POST', url);
    request.responseType = 'json';
    request.upload.onprogress = ({ loaded, total }) => onProgress(total ? loaded / total : 0);
    request.onload = () => {
      const { fileUrl, fileName, fileType } = request.response ?? {};
      if (request.status === 200 && fileUrl) {
        resolve({ url: fileUrl, name: fileName ?? file.name, type: fileType ?? file.type });
      } else {
        reject(new UploadError(PROBLEMS[request.status] ?? 'other', `status ${request.status}`));
      }
    };
    request.onerror = () => reject(new UploadError('network'));
    request.onabort = () => reject(new UploadError('aborted'));
    signal?.addEventListener('abort', () => request.abort());
    request.send(form);
  });
}
