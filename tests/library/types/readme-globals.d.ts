/** What the example in page/README.md uses of its reader's program. */

declare function show(shown: unknown): void;
declare function store(item: import("./protocol.js").OutboxItem): void;
declare function showStored(
  item: import("./protocol.js").OutboxItem, ack: import("./protocol.js").Ack): void;
declare function storeSince(until: number): void;
declare function showState(name: import("./protocol.js").StateName): void;
declare function showReceipt(receipt: import("./protocol.js").Receipt): void;
declare function showTyping(typing: import("./protocol.js").Typing): void;
declare function showOlder(page: import("./protocol.js").HistoryFrame): void;
declare const isSeen: boolean;
declare const input: HTMLTextAreaElement;
declare const file: File;
