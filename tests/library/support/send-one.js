/** Send one message to the backend at argv[2], write its id, and disconnect. */

import { ChatClient } from "../../../page/protocol.js";
import { WebSocket } from "./sockets.js";

const client = new ChatClient({ url: process.argv[2], userId: "user123", WebSocket });
client.connect();
const { messageId } = await client.send({ chatId: "user123#user456", text: "Hello!" }).ack;
process.stdout.write(`${messageId}\n`);
client.disconnect();
