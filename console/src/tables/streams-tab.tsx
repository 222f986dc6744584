import { type StreamSpecification, type StreamViewType, UpdateTableCommand } from "@aws-sdk/client-dynamodb";
import {
  DescribeStreamCommand,
  type DynamoDBStreamsClient,
  GetRecordsCommand,
  GetShardIteratorCommand,
  type _Record,
} from "@aws-sdk/client-dynamodb-streams";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import Header from "@cloudscape-design/components/header";
import KeyValuePairs from "@cloudscape-design/components/key-value-pairs";
import RadioGroup from "@cloudscape-design/components/radio-group";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Table from "@cloudscape-design/components/table";
import { useEffect, useState } from "react";
import { type Item, plainObject } from "../attributes/values";
import { Exports } from "../backups/exports";
import { Dialog } from "../dialog";
import { useAction } from "../loading";
import { Refusal, useTell } from "../notices";
import { useSession } from "../session";
import { texts } from "../texts";
import type { TabProps } from "./details";
import { Status } from "./status";

const POLL = 500;
const MOST_SHOWN = 200;

export function StreamsTab({ table, refresh }: TabProps) {
  const { clients } = useSession();
  const tell = useTell();
  const [choosing, setChoosing] = useState(false);
  const [view, setView] = useState<StreamViewType>("NEW_AND_OLD_IMAGES");
  const isOn = table.StreamSpecification?.StreamEnabled === true;
  const turn = async (specification: StreamSpecification, said: string) => {
    const command = new UpdateTableCommand({ TableName: table.TableName, StreamSpecification: specification });
    await clients.dynamodb.send(command);
    tell("success", said);
    await refresh();
  };
  const turningOff = useAction(() => turn({ StreamEnabled: false }, texts.streams.turnedOff));
  return (
    <SpaceBetween size="l">
      <Exports table={table} />
      <Refusal error={turningOff.error} />
      <Container
        header={
          <Header
            variant="h2"
            description={texts.streams.about}
            actions={
              <Button
                loading={turningOff.running}
                onClick={() => (isOn ? void turningOff.start() : setChoosing(true))}
              >
                {isOn ? texts.streams.turnOff : texts.streams.turnOn}
              </Button>
            }
          >
            {texts.streams.title}
          </Header>
        }
      >
        <KeyValuePairs
          columns={3}
          items={[
            { label: texts.streams.status, value: <Status status={isOn ? "ENABLED" : "DISABLED"} /> },
            {
              label: texts.streams.view,
              value: texts.streams.views[table.StreamSpecification?.StreamViewType ?? ""] ?? texts.none,
            },
            { label: texts.streams.latestArn, value: table.LatestStreamArn ?? texts.none },
          ]}
        />
      </Container>
      {isOn && table.LatestStreamArn && <Live key={table.LatestStreamArn} arn={table.LatestStreamArn} />}
      {choosing && (
        <Dialog
          title={texts.streams.turnOn}
          submit={texts.streams.turnOn}
          dismiss={() => setChoosing(false)}
          act={async () => {
            await turn({ StreamEnabled: true, StreamViewType: view }, texts.streams.turnedOn);
            setChoosing(false);
          }}
        >
          <RadioGroup
            ariaLabel={texts.streams.view}
            value={view}
            onChange={({ detail }) => setView(detail.value as StreamViewType)}
            items={Object.entries(texts.streams.views).map(([value, label]) => ({ value, label }))}
          />
        </Dialog>
      )}
    </SpaceBetween>
  );
}

/** Iterators at the end of the open shards that are not followed yet. */
async function atTheEnd(client: DynamoDBStreamsClient, arn: string, followed: Set<string>, first: boolean) {
  const iterators: string[] = [];
  let after: string | undefined;
  do {
    const answer = await client.send(new DescribeStreamCommand({ StreamArn: arn, ExclusiveStartShardId: after }));
    for (const { ShardId = "", SequenceNumberRange: range } of answer.StreamDescription?.Shards ?? []) {
      if (!followed.has(ShardId)) {
        followed.add(ShardId);
        if (range?.EndingSequenceNumber === undefined || !first) {
          const type = first ? "LATEST" : "TRIM_HORIZON";
          const input = { StreamArn: arn, ShardId, ShardIteratorType: type } as const;
          const { ShardIterator } = await client.send(new GetShardIteratorCommand(input));
          if (ShardIterator !== undefined) {
            iterators.push(ShardIterator);
          }
        }
      }
    }
    after = answer.StreamDescription?.LastEvaluatedShardId;
  } while (after !== undefined);
  return iterators;
}

/** What changes from now on, as long as it is followed. */
function Live({ arn }: { arn: string }) {
  const { clients } = useSession();
  const [follows, setFollows] = useState(false);
  const [error, setError] = useState<Error>();
  const [records, setRecords] = useState<_Record[]>([]);
  useEffect(() => {
    if (!follows) {
      return undefined;
    }
    let ended = false;
    const follow = async () => {
      const followed = new Set<string>();
      let iterators = await atTheEnd(clients.streams, arn, followed, true);
      while (!ended) {
        const next: string[] = [];
        for (const iterator of iterators) {
          const page = await clients.streams.send(new GetRecordsCommand({ ShardIterator: iterator }));
          const found = page.Records ?? [];
          if (found.length && !ended) {
            setRecords((before) => [...found.reverse(), ...before].slice(0, MOST_SHOWN));
          }
          if (page.NextShardIterator !== undefined) {
            next.push(page.NextShardIterator);
          }
        }
        iterators = [...next, ...(await atTheEnd(clients.streams, arn, followed, false))];
        await new Promise((resolve) => setTimeout(resolve, POLL));
      }
    };
    follow().catch((caught: unknown) => {
      if (!ended) {
        setError(caught instanceof Error ? caught : new Error(String(caught)));
        setFollows(false);
      }
    });
    return () => {
      ended = true;
    };
  }, [follows, arn, clients]);
  const image = (item: unknown) =>
    item === undefined ? texts.none : <Box variant="code">{plainObject(item as Item)}</Box>;
  return (
    <SpaceBetween size="m">
      <Refusal error={error} />
      <Table<_Record>
        trackBy="eventID"
        wrapLines
        items={records}
        empty={<Box textAlign="center">{texts.streams.noChanges}</Box>}
        header={
          <Header
            variant="h2"
            description={texts.streams.liveAbout}
            counter={`(${records.length})`}
            actions={
              <Button
                onClick={() => {
                  setError(undefined);
                  setFollows(!follows);
                }}
              >
                {follows ? texts.streams.stop : texts.streams.follow}
              </Button>
            }
          >
            {texts.streams.live}
          </Header>
        }
        columnDefinitions={[
          {
            id: "when",
            header: texts.streams.when,
            cell: ({ dynamodb }) => dynamodb?.ApproximateCreationDateTime?.toLocaleTimeString(),
          },
          { id: "event", header: texts.streams.event, cell: ({ eventName }) => eventName },
          { id: "keys", header: texts.streams.keys, cell: ({ dynamodb }) => image(dynamodb?.Keys) },
          { id: "old", header: texts.streams.before, cell: ({ dynamodb }) => image(dynamodb?.OldImage) },
          { id: "new", header: texts.streams.after, cell: ({ dynamodb }) => image(dynamodb?.NewImage) },
        ]}
      />
    </SpaceBetween>
  );
}
