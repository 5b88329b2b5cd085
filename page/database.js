/**
 * Which database the backend of this page has: empty where that never changes, as on AWS. The local
 * runner serves another text under this name, with an id that is new for each new database.
 */
export const databaseId = "";
