/**
 * Which files the backend takes: the defaults of the template's parameters `AllowedContentTypes`
 * and `MaxFileBytes`. For a deployment with other values, change these.
 */

import { contentTypeOf } from "./files.js";
import { formatSize } from "./format.js";

export const MAX_FILE_BYTES = 26214400;
export const ALLOWED_CONTENT_TYPES = [
  "image/jpeg", "image/png", "image/gif", "image/webp", "image/heic", "image/heif",
  "application/pdf",
  "text/plain", "text/csv",
  "audio/mpeg", "audio/mp4", "audio/ogg", "audio/webm",
  "video/mp4", "video/quicktime", "video/webm",
  "application/zip",
  "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
  "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
  "application/vnd.openxmlformats-officedocument.presentationml.presentation",
];

/**
 * Return why a file cannot be sent; "" if it can.
 * @param {File} file
 */
export function problemOf(file) {
  if (!ALLOWED_CONTENT_TYPES.includes(contentTypeOf(file))) {
    return `“${file.name}” cannot be sent: this kind of file is not taken. Send a picture, PDF, text, `
      + "audio, video, Office document or ZIP file.";
  }
  if (file.size > MAX_FILE_BYTES) {
    return `“${file.name}” cannot be sent: it has ${formatSize(file.size)}, and a file may have `
      + `${formatSize(MAX_FILE_BYTES)}.`;
  }
  return "";
}
