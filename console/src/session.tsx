import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { DynamoDBStreamsClient } from "@aws-sdk/client-dynamodb-streams";
import { IAMClient } from "@aws-sdk/client-iam";
import { createContext, type ReactNode, useCallback, useContext, useMemo, useState } from "react";

/** What the server says of itself at `/console/settings.json`. */
export interface Server {
  version: string;
  /** Whether it verifies signatures. */
  auth: boolean;
  account: string;
  regions: string[];
}

export interface Keys {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
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
}

export interface Session {
  server: Server;
  region: string;
  account: string;
  clients: Clients;
  asked: Asked[];
  setRegion: (region: string) => void;
  clientsOf: (region: string) => Clients;
  signOut: () => void;
}

const MOST_ASKED = 50;
const REGION = "jedlik.region";
const operationOf = (command: string | undefined) => (command ?? "").replace(/Command$/, "");
const SessionContext = createContext<Session | null>(null);

export function useSession(): Session {
  const session = useContext(SessionContext);
  if (session === null) {
    throw new Error("there is no session here");
  }
  return session;
}

export function chosenRegion(server: Server): string {
  const chosen = localStorage.getItem(REGION);
  return chosen !== null && server.regions.includes(chosen) ? chosen : (server.regions[0] ?? "us-east-1");
}

/** Gives what is inside a session: clients of the region that is chosen, and the requests that they made. */
export function SessionProvider(props: { server: Server; keys: Keys; signOut: () => void; children: ReactNode }) {
  const { server, keys, signOut, children } = props;
  const [region, setChosen] = useState(() => chosenRegion(server));
  const [asked, setAsked] = useState<Asked[]>([]);
  const setRegion = useCallback((chosen: string) => {
    localStorage.setItem(REGION, chosen);
    setChosen(chosen);
  }, []);
  const clientsOf = useMemo(() => {
    const made = new Map<string, Clients>();
    let number = 0;
    return (of: string) => {
      let clients = made.get(of);
      if (clients === undefined) {
        const options = { region: of, endpoint: window.location.origin, credentials: keys, maxAttempts: 2 };
        clients = {
          dynamodb: new DynamoDBClient(options),
          streams: new DynamoDBStreamsClient(options),
          iam: new IAMClient(options),
        };
        const note = (service: string, operation: string, input: object) => {
          number += 1;
          const one = { number, service, operation, input, region: of };
          setAsked((before) => [one, ...before].slice(0, MOST_ASKED));
        };
        clients.dynamodb.middlewareStack.add(
          (next, context) => (args) => {
            note("dynamodb", operationOf(context.commandName), args.input);
            return next(args);
          },
          { step: "initialize", name: "asked" },
        );
        clients.iam.middlewareStack.add(
          (next, context) => (args) => {
            note("iam", operationOf(context.commandName), args.input);
            return next(args);
          },
          { step: "initialize", name: "asked" },
        );
        made.set(of, clients);
      }
      return clients;
    };
  }, [keys]);
  const session = useMemo<Session>(
    () => ({
      server,
      region,
      account: server.auth ? server.account : keys.accessKeyId,
      clients: clientsOf(region),
      asked,
      setRegion,
      clientsOf,
      signOut,
    }),
    [server, region, keys, clientsOf, asked, setRegion, signOut],
  );
  return <SessionContext.Provider value={session}>{children}</SessionContext.Provider>;
}
