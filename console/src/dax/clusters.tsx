import {
  type Cluster,
  CreateClusterCommand,
  DecreaseReplicationFactorCommand,
  DeleteClusterCommand,
  DescribeClustersCommand,
  DescribeParameterGroupsCommand,
  IncreaseReplicationFactorCommand,
  type Node,
  RebootNodeCommand,
} from "@aws-sdk/client-dax";
import { useCollection } from "@cloudscape-design/collection-hooks";
import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import FormField from "@cloudscape-design/components/form-field";
import Header from "@cloudscape-design/components/header";
import Input from "@cloudscape-design/components/input";
import Pagination from "@cloudscape-design/components/pagination";
import Select from "@cloudscape-design/components/select";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Table from "@cloudscape-design/components/table";
import { useState } from "react";
import { Dialog } from "../dialog";
import { useAction, useLoaded } from "../loading";
import { Refusal, useTell } from "../notices";
import { useSession } from "../session";
import { Status } from "../tables/status";
import { texts } from "../texts";

const POLL = 2000;
const PAGE = 20;
const MOST_NODES = 11;
const TYPES = ["dax.t3.small", "dax.t3.medium", "dax.r5.large", "dax.r5.xlarge"];

/** The clusters of DAX in the region; of the one that is chosen, the nodes. */
export default function Clusters() {
  const { clients } = useSession();
  const tell = useTell();
  const found = useLoaded(
    async (signal) => {
      const clusters: Cluster[] = [];
      let after: string | undefined;
      do {
        const command = new DescribeClustersCommand({ NextToken: after });
        const page = await clients.dax.send(command, { abortSignal: signal });
        clusters.push(...(page.Clusters ?? []));
        after = page.NextToken;
      } while (after !== undefined);
      return clusters;
    },
    [clients],
    (clusters) => (clusters.some(({ Status: status }) => status !== "available") ? POLL : undefined),
  );
  const { items, collectionProps, paginationProps } = useCollection(found.value ?? [], {
    pagination: { pageSize: PAGE },
    sorting: {},
    selection: { trackBy: "ClusterName" },
  });
  const [open, setOpen] = useState<"create" | "resize" | "delete">();
  // The cluster for which a dialog was opened: its row may move to another page, and is no longer selected then.
  const [subject, setSubject] = useState<string>();
  const named = (name: string | undefined) => (found.value ?? []).find(({ ClusterName }) => ClusterName === name);
  const chosen = named(collectionProps.selectedItems?.[0]?.ClusterName);
  const concerned = named(subject);
  const start = (what: "resize" | "delete") => {
    setSubject(chosen?.ClusterName);
    setOpen(what);
  };
  const close = (said?: string) => {
    if (said !== undefined) {
      tell("success", said);
      void found.refresh();
    }
    setOpen(undefined);
  };
  return (
    <SpaceBetween size="l">
      <Refusal error={found.error} retry={found.refresh} />
      <Table<Cluster>
        {...collectionProps}
        items={items}
        trackBy="ClusterName"
        variant="full-page"
        selectionType="single"
        loading={found.loading && found.value === undefined}
        loadingText={texts.loading}
        empty={<Box textAlign="center">{texts.dax.empty}</Box>}
        ariaLabels={{
          selectionGroupLabel: texts.dax.title,
          itemSelectionLabel: (_, { ClusterName }) => `${texts.iam.choose}: ${ClusterName}`,
        }}
        pagination={<Pagination {...paginationProps} />}
        header={
          <Header
            variant="h1"
            counter={`(${found.value?.length ?? 0})`}
            description={texts.dax.about}
            actions={
              <SpaceBetween direction="horizontal" size="xs">
                <Button iconName="refresh" ariaLabel={texts.refresh} onClick={found.refresh} />
                <Button disabled={chosen === undefined} onClick={() => start("resize")}>
                  {texts.dax.resize}
                </Button>
                <Button disabled={chosen === undefined} onClick={() => start("delete")}>
                  {texts.delete}
                </Button>
                <Button variant="primary" onClick={() => setOpen("create")}>
                  {texts.dax.create}
                </Button>
              </SpaceBetween>
            }
          >
            {texts.dax.title}
          </Header>
        }
        columnDefinitions={[
          {
            id: "name",
            header: texts.iam.name,
            isRowHeader: true,
            sortingField: "ClusterName",
            cell: ({ ClusterName }) => ClusterName,
          },
          {
            id: "status",
            header: texts.list.status,
            sortingField: "Status",
            cell: (one) => <Status status={one.Status?.toUpperCase()} />,
          },
          {
            id: "endpoint",
            header: texts.dax.endpoint,
            cell: ({ ClusterDiscoveryEndpoint: at }) => at?.URL ?? (at ? `${at.Address}:${at.Port}` : texts.none),
          },
          {
            id: "nodes",
            header: texts.dax.nodes,
            cell: ({ ActiveNodes, TotalNodes }) => texts.dax.active(ActiveNodes ?? 0, TotalNodes ?? 0),
          },
          { id: "type", header: texts.dax.type, sortingField: "NodeType", cell: ({ NodeType }) => NodeType },
          {
            id: "group",
            header: texts.dax.group,
            cell: ({ ParameterGroup }) => ParameterGroup?.ParameterGroupName ?? texts.none,
          },
          { id: "arn", header: texts.iam.arn, cell: ({ ClusterArn }) => ClusterArn },
        ]}
      />
      {chosen && <Nodes cluster={chosen} refresh={found.refresh} />}
      {open === "create" && <Create close={close} />}
      {open === "resize" && concerned && <Resize cluster={concerned} close={close} />}
      {open === "delete" && concerned && (
        <Dialog
          title={texts.dax.delete}
          submit={texts.delete}
          dismiss={() => close()}
          act={async () => {
            await clients.dax.send(new DeleteClusterCommand({ ClusterName: concerned.ClusterName }));
            close(texts.dax.deleted(concerned.ClusterName ?? ""));
          }}
        >
          <Alert type="warning">{texts.dax.deleteWarning}</Alert>
        </Dialog>
      )}
    </SpaceBetween>
  );
}

function Nodes({ cluster, refresh }: { cluster: Cluster; refresh: () => Promise<void> }) {
  const { clients } = useSession();
  const rebooting = useAction(async (NodeId: string) => {
    await clients.dax.send(new RebootNodeCommand({ ClusterName: cluster.ClusterName, NodeId }));
    await refresh();
  });
  return (
    <>
      <Refusal error={rebooting.error} />
      <Table<Node>
        items={cluster.Nodes ?? []}
        trackBy="NodeId"
        empty={<Box textAlign="center">{texts.iam.empty}</Box>}
        header={
          <Header variant="h2" counter={`(${cluster.Nodes?.length ?? 0})`}>
            {texts.dax.nodesOf(cluster.ClusterName ?? "")}
          </Header>
        }
        columnDefinitions={[
          { id: "id", header: texts.iam.name, isRowHeader: true, cell: ({ NodeId }) => NodeId },
          {
            id: "status",
            header: texts.list.status,
            cell: ({ NodeStatus }) => <Status status={NodeStatus?.toUpperCase()} />,
          },
          {
            id: "endpoint",
            header: texts.dax.endpoint,
            cell: ({ Endpoint: at }) => (at ? `${at.Address}:${at.Port}` : texts.none),
          },
          {
            id: "created",
            header: texts.iam.created,
            cell: ({ NodeCreateTime }) => NodeCreateTime?.toLocaleString() ?? texts.none,
          },
          { id: "parameters", header: texts.dax.group, cell: ({ ParameterGroupStatus }) => ParameterGroupStatus },
          {
            id: "reboot",
            header: texts.actions,
            cell: ({ NodeId = "" }) => (
              <Button
                variant="inline-link"
                ariaLabel={`${texts.dax.reboot} ${NodeId}`}
                onClick={() => void rebooting.start(NodeId)}
              >
                {texts.dax.reboot}
              </Button>
            ),
          },
        ]}
      />
    </>
  );
}

function Count(props: { value: string; change: (value: string) => void }) {
  return (
    <FormField label={texts.dax.count} constraintText={texts.dax.countAbout(MOST_NODES)}>
      <Input type="number" value={props.value} onChange={({ detail }) => props.change(detail.value)} />
    </FormField>
  );
}

function Create({ close }: { close: (said?: string) => void }) {
  const { clients, account } = useSession();
  const [name, setName] = useState("");
  const [type, setType] = useState(TYPES[0]);
  const [count, setCount] = useState("1");
  const [role, setRole] = useState(`arn:aws:iam::${account}:role/dax`);
  const [group, setGroup] = useState<string>();
  const groups = useLoaded(
    async (signal) => {
      const answer = await clients.dax.send(new DescribeParameterGroupsCommand({}), { abortSignal: signal });
      return (answer.ParameterGroups ?? []).map(({ ParameterGroupName = "" }) => ({ value: ParameterGroupName }));
    },
    [clients],
  );
  return (
    <Dialog
      title={texts.dax.create}
      submit={texts.dax.create}
      disabled={!name || !role}
      dismiss={() => close()}
      act={async () => {
        await clients.dax.send(
          new CreateClusterCommand({
            ClusterName: name,
            NodeType: type,
            ReplicationFactor: Number(count),
            IamRoleArn: role,
            ...(group ? { ParameterGroupName: group } : {}),
          }),
        );
        close(texts.dax.created(name));
      }}
    >
      <FormField label={texts.dax.name} constraintText={texts.dax.nameAbout}>
        <Input value={name} onChange={({ detail }) => setName(detail.value)} />
      </FormField>
      <FormField label={texts.dax.type}>
        <Select
          options={TYPES.map((value) => ({ value }))}
          selectedOption={{ value: type }}
          onChange={({ detail }) => setType(detail.selectedOption.value)}
        />
      </FormField>
      <Count value={count} change={setCount} />
      <FormField label={texts.dax.role} constraintText={texts.dax.roleAbout}>
        <Input value={role} onChange={({ detail }) => setRole(detail.value)} />
      </FormField>
      <Refusal error={groups.error} />
      <FormField label={texts.dax.group}>
        <Select
          placeholder={texts.dax.usualGroup}
          options={groups.value ?? []}
          selectedOption={group === undefined ? null : { value: group }}
          onChange={({ detail }) => setGroup(detail.selectedOption.value)}
        />
      </FormField>
    </Dialog>
  );
}

function Resize({ cluster, close }: { cluster: Cluster; close: (said?: string) => void }) {
  const { clients } = useSession();
  const now = cluster.TotalNodes ?? 0;
  const [count, setCount] = useState(String(now));
  return (
    <Dialog
      title={texts.dax.resize}
      submit={texts.save}
      disabled={Number(count) === now}
      dismiss={() => close()}
      act={async () => {
        const input = { ClusterName: cluster.ClusterName, NewReplicationFactor: Number(count) };
        await (Number(count) > now
          ? clients.dax.send(new IncreaseReplicationFactorCommand(input))
          : clients.dax.send(new DecreaseReplicationFactorCommand(input)));
        close(texts.saved);
      }}
    >
      <Count value={count} change={setCount} />
    </Dialog>
  );
}
