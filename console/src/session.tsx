import { DAXClient } from "@aws-sdk/client-dax";
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { DynamoDBStreamsClient } from "@aws-sdk/client-dynamodb-streams";
import { IAMClient } from "@aws-sdk/client-iam";
import { KMSClient } from "@aws-sdk/client-kms";
import { createContext, type ReactNode, useCallback, useContext, useEffect, useMemo, useRef, useState } from "react";

/** What the server says of itself at `/console/settings.json`. */
export interface Server {
  version: string;
  /** Whether it verifies signatures. */
  auth: boolean;
  account: string;
  regions: string[];
}

/** What signs the requests. It is kept nowhere but in the memory of the page. */
export interface Keys {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
  /** When they are good for nothing more, in milliseconds since the epoch. */
  expires?: number;
  /** The account that they belong to. */
  account: string;
  /** Who has them: the name of a user, or the end of another ARN. */
  who?: string;
  /** Whether it is a user, who has signed in with a password that can be changed. */
  hasPassword?: boolean;
}

/** A request that was made, for people who want to make it themselves. */
export interface Asked {
  number: number;
  service: string;
  operation: string;
  input: object;
  region: string;
}

export interface Clients {
  dynamodb: DynamoDBClient;
  streams: DynamoDBStreamsClient;
  iam: IAMClient;
  dax: DAXClient;
  kms: KMSClient;
}

export interface Session {
  server: Server;
  region: string;
  account: string;
  who: string | undefined;
  hasPassword: boolean;
  clients: Clients;
  setRegion: (region: string) => void;
  clientsOf: (region: string) => Clients;
  signOut: () => void;
}

const MOST_ASKED = 50;
const REGION = "jedlik.region";
const SERVICES: Record<keyof Clients, string> = {
  dynamodb: "dynamodb",
  streams: "dynamodbstreams",
  iam: "iam",
  dax: "dax",
  kms: "kms",
};
/** What the AWS CLI calls them. */
const SECRETS = new Set(["Password", "OldPassword", "NewPassword"]);
/** Members that are not shown again. */
const ENDED = new Set(["ExpiredTokenException", "ExpiredToken", "UnrecognizedClientException", "InvalidClientTokenId"]);
/** Errors that a request gets whose keys are good for nothing more. */
const LONGEST_TIMER = 2 ** 31 - 1;

const operationOf = (command: string | undefined) => (command ?? "").replace(/Command$/, "");
const SessionContext = createContext<Session | null>(null);
const AskedContext = createContext<Asked[]>([]);
/** Apart from the session: it changes with each request, and pages need not be rendered again for that. */

export function useSession(): Session {
  const session = useContext(SessionContext);
  if (session === null) {
    throw new Error("there is no session here");
  }
  return session;
}

/** The requests that were made, newest first. */
export const useAsked = (): Asked[] => useContext(AskedContext);

export function chosenRegion(server: Server): string {
  const chosen = localStorage.getItem(REGION);
  return chosen !== null && server.regions.includes(chosen) ? chosen : (server.regions[0] ?? "us-east-1");
}

const withoutSecrets = (input: object): object =>
  Object.fromEntries(Object.entries(input).map(([name, value]) => [name, SECRETS.has(name) ? "********" : value]));

/** The requests that were made with a further one. Of those that follow a stream, the newest of each kind is kept. */
function noted(before: Asked[], one: Asked): Asked[] {
  const isRepeated = (other: Asked) =>
    one.service === SERVICES.streams && other.service === one.service && other.operation === one.operation;
  return [one, ...before.filter((other) => !isRepeated(other))].slice(0, MOST_ASKED);
}

/** Gives what is inside a session: clients of the region that is chosen, and the requests that they made.
 *
 * `ended` is called when the keys are good for nothing more.
 */
export function SessionProvider(props: {
  server: Server;
  keys: Keys;
  signOut: () => void;
  ended: () => void;
  children: ReactNode;
}) {
  const { server, keys, signOut, children } = props;
  const [region, setChosen] = useState(() => chosenRegion(server));
  const [asked, setAsked] = useState<Asked[]>([]);
  const ended = useRef(props.ended);
  ended.current = props.ended;
  const setRegion = useCallback((chosen: string) => {
    localStorage.setItem(REGION, chosen);
    setChosen(chosen);
  }, []);
  useEffect(() => {
    if (keys.expires === undefined) {
      return undefined;
    }
    const timer = window.setTimeout(() => ended.current(), Math.min(keys.expires - Date.now(), LONGEST_TIMER));
    return () => window.clearTimeout(timer);
  }, [keys]);
  const clientsOf = useMemo(() => {
    const made = new Map<string, Clients>();
    const { accessKeyId, secretAccessKey, sessionToken } = keys;
    const credentials = { accessKeyId, secretAccessKey, ...(sessionToken ? { sessionToken } : {}) };
    let number = 0;
    return (of: string) => {
      let clients = made.get(of);
      if (clients === undefined) {
        const options = { region: of, endpoint: window.location.origin, credentials, maxAttempts: 2 };
        clients = {
          dynamodb: new DynamoDBClient(options),
          streams: new DynamoDBStreamsClient(options),
          iam: new IAMClient(options),
          dax: new DAXClient(options),
          kms: new KMSClient(options),
        };
        for (const [name, client] of Object.entries(clients)) {
          const service = SERVICES[name as keyof Clients];
          // The clients have one kind of stack each, whose types differ in their operations alone.
          (client as DynamoDBClient).middlewareStack.add(
            (next, context) => async (args) => {
              number += 1;
              const operation = operationOf(context.commandName);
              const one = { number, service, operation, input: withoutSecrets(args.input), region: of };
              setAsked((before) => noted(before, one));
              try {
                return await next(args);
              } catch (error) {
                if (server.auth && error instanceof Error && ENDED.has(error.name)) {
                  ended.current();
                }
                throw error;
              }
            },
            { step: "initialize", name: "asked" },
          );
        }
        made.set(of, clients);
      }
      return clients;
    };
  }, [keys, server]);
  const session = useMemo<Session>(
    () => ({
      server,
      region,
      account: keys.account,
      who: keys.who,
      hasPassword: keys.hasPassword === true,
      clients: clientsOf(region),
      setRegion,
      clientsOf,
      signOut,
    }),
    [server, region, keys, clientsOf, setRegion, signOut],
  );
  return (
    <SessionContext.Provider value={session}>
      <AskedContext.Provider value={asked}>{children}</AskedContext.Provider>
    </SessionContext.Provider>
  );
}
