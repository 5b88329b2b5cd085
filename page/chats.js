/** Chat ids, as users write and read them. */

import { ChatError, USER_ID, chatIdOf } from "./protocol.js";

/**
 * Return the partner in a chat; null if the user is not in it.
 * @param {string} chatId
 * @param {string} me
 */
export function partnerIn(chatId, me) {
  const members = chatId.split("#");
  if (members.length !== 2 || !members.includes(me)) return null;
  return members[0] === me ? members[1] : members[0];
}

/**
 * Return the chat id for an input, which is the partner's user id or a chat id. The backend refuses
 * a chat that the user is not in.
 * @param {string} input
 * @param {string} me
 * @throws {ChatError}
 */
export function chatIdFrom(input, me) {
  const partner = input.trim();
  if (partner.includes("#")) {
    const members = partner.split("#");
    if (members.length !== 2 || !members.every((member) => USER_ID.test(member))) {
      throw new ChatError(
        "bad_chat_id", "A chat's id is two user ids with one # between them: user123#user789.");
    }
    const [one, other] = members;
    requireTwoUsers(one, other);
    return chatIdOf(one, other);
  }
  requireUserId(partner, "You talk to");
  requireTwoUsers(partner, me);
  return chatIdOf(me, partner);
}

/**
 * @param {string} one
 * @param {string} other
 */
function requireTwoUsers(one, other) {
  if (one !== other) return;
  throw new ChatError("invalid_request", "A chat is two users: choose somebody else to talk to.");
}

/**
 * Return an input that is a user id.
 * @param {string} input
 * @param {string} field the label of the input
 * @throws {ChatError}
 */
export function requireUserId(input, field) {
  if (USER_ID.test(input)) return input;
  throw new ChatError(
    "bad_user_id", `"${field}" takes 1 to 128 of A-Z a-z 0-9 . _ @ + = : | - ' ~ and nothing else.`,
  );
}
