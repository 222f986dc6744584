import AppLayout from "@cloudscape-design/components/app-layout";
import SideNavigation from "@cloudscape-design/components/side-navigation";
import Spinner from "@cloudscape-design/components/spinner";
import TopNavigation from "@cloudscape-design/components/top-navigation";
import { Fragment, lazy, type ReactNode, Suspense, useState } from "react";
import { Navigate, Route, Routes, useLocation, useNavigate, useParams } from "react-router-dom";
import { ChangePassword } from "./change-password";
import { useMode } from "./mode";
import { Notices } from "./notices";
import { Requests } from "./requests";
import { useSession } from "./session";
import { texts } from "./texts";

const Home = lazy(() => import("./home"));
const TableList = lazy(() => import("./tables/list"));
const CreateTable = lazy(() => import("./tables/create"));
const TableDetails = lazy(() => import("./tables/details"));
const Explore = lazy(() => import("./items/explore"));
const ItemPage = lazy(() => import("./items/item-page"));
const BackupList = lazy(() => import("./backups/backup-list"));
const ExportList = lazy(() => import("./backups/export-list"));
const Imports = lazy(() => import("./backups/imports"));
const ImportTable = lazy(() => import("./backups/import-table"));
const BulkPuts = lazy(() => import("./backups/bulk-puts"));
const Entities = lazy(() => import("./iam/entities"));
const EntityDetails = lazy(() => import("./iam/entity-details"));
const Policies = lazy(() => import("./iam/policies"));
const PolicyDetails = lazy(() => import("./iam/policy-details"));
const Simulator = lazy(() => import("./iam/simulator"));
const Clusters = lazy(() => import("./dax/clusters"));
const ParameterGroups = lazy(() => import("./dax/parameter-groups"));
const Keys = lazy(() => import("./kms/keys"));
const KeyDetails = lazy(() => import("./kms/key-details"));
const Statements = lazy(() => import("./statements"));

const MENUS: { below: string; header: { text: string; href: string }; links: [string, string][] }[] = [
  {
    below: "/dynamodb",
    header: { text: texts.dynamodb, href: "#/dynamodb/tables" },
    links: [
      [texts.tables, "#/dynamodb/tables"],
      [texts.exploreItems, "#/dynamodb/items"],
      [texts.partiql, "#/dynamodb/partiql"],
      [texts.backups, "#/dynamodb/backups"],
      [texts.exports.title, "#/dynamodb/exports"],
      [texts.imports.title, "#/dynamodb/imports"],
      [texts.bulk.title, "#/dynamodb/bulk"],
      [texts.dax.title, "#/dynamodb/dax"],
      [texts.dax.groups, "#/dynamodb/dax-parameters"],
    ],
  },
  {
    below: "/iam",
    header: { text: texts.iam.title, href: "#/iam/users" },
    links: [
      [texts.iam.groups, "#/iam/groups"],
      [texts.iam.users, "#/iam/users"],
      [texts.iam.roles, "#/iam/roles"],
      [texts.iam.policies, "#/iam/policies"],
      [texts.simulator.title, "#/iam/simulator"],
    ],
  },
  {
    below: "/kms",
    header: { text: texts.kms.title, href: "#/kms/keys" },
    links: [[texts.kms.keys, "#/kms/keys"]],
  },
];
/** The links at the left, by the service that a page belongs to. */

/** A page of one thing, such as a table. That of another thing is another page: nothing that was typed or opened stays. */
function PageOf({ children }: { children: ReactNode }) {
  const { tab: _, ...thing } = useParams();
  const { search } = useLocation();
  return <Fragment key={JSON.stringify([thing, search])}>{children}</Fragment>;
}

/** The frame of every page: the bar with account and region, the way to other pages, and the page. */
export function App() {
  const session = useSession();
  const navigate = useNavigate();
  const { pathname } = useLocation();
  const [dark, switchMode] = useMode();
  const [showsRequests, setShowsRequests] = useState(false);
  const [changesPassword, setChangesPassword] = useState(false);
  const follow = (event: CustomEvent<{ href?: string; external?: boolean }>) => {
    const href = event.detail.href;
    if (!event.detail.external && href?.startsWith("#")) {
      event.preventDefault();
      navigate(href.slice(1));
    }
  };
  const menu = MENUS.find(({ below }) => pathname.startsWith(below));
  return (
    <>
      <div id="bar">
        <TopNavigation
          identity={{ href: "#/", title: texts.product, onFollow: follow }}
          utilities={[
            { type: "button", text: texts.services, href: "#/", onFollow: follow },
            { type: "button", text: dark ? texts.light : texts.dark, onClick: switchMode },
            {
              type: "menu-dropdown",
              text: session.region,
              ariaLabel: `${texts.region}: ${session.region}`,
              items: session.server.regions.map((region) => ({ id: region, text: region })),
              onItemClick: ({ detail }) => session.setRegion(detail.id),
            },
            {
              type: "menu-dropdown",
              text: session.who ? texts.whoAndAccount(session.who, session.account) : `${texts.account} ${session.account}`,
              iconName: "user-profile",
              items: session.server.auth
                ? [
                    ...(session.hasPassword ? [{ id: "password", text: texts.signIn.change }] : []),
                    { id: "out", text: texts.signOut },
                  ]
                : [],
              onItemClick: ({ detail }) => (detail.id === "out" ? session.signOut() : setChangesPassword(true)),
            },
          ]}
        />
      </div>
      <AppLayout
        headerSelector="#bar"
        navigationHide={menu === undefined}
        toolsHide
        notifications={<Notices />}
        drawers={[
          {
            id: "requests",
            trigger: { iconName: "script" },
            content: <Requests />,
            resizable: true,
            defaultSize: 420,
            ariaLabels: { drawerName: texts.requests.title, triggerButton: texts.requests.title },
          },
        ]}
        activeDrawerId={showsRequests ? "requests" : null}
        onDrawerChange={({ detail }) => setShowsRequests(detail.activeDrawerId !== null)}
        navigation={
          menu && (
            <SideNavigation
              header={menu.header}
              activeHref={`#${pathname}`}
              onFollow={follow}
              items={menu.links.map(([text, href]) => ({ type: "link", text, href }))}
            />
          )
        }
        content={
          // A page is shown until the next one is loaded; tests see by this which one it is.
          <div data-page={pathname}>
            <Suspense fallback={<Spinner size="large" />}>
              <Routes key={session.region}>
                <Route path="/" element={<Home />} />
                <Route path="/dynamodb/tables" element={<TableList />} />
                <Route path="/dynamodb/create-table" element={<CreateTable />} />
                <Route path="/dynamodb/tables/:name" element={<PageOf><TableDetails /></PageOf>} />
                <Route path="/dynamodb/tables/:name/:tab" element={<PageOf><TableDetails /></PageOf>} />
                <Route path="/dynamodb/items" element={<Explore />} />
                <Route path="/dynamodb/items/:name" element={<Explore />} />
                <Route path="/dynamodb/item/:name" element={<PageOf><ItemPage /></PageOf>} />
                <Route path="/dynamodb/backups" element={<BackupList />} />
                <Route path="/dynamodb/exports" element={<ExportList />} />
                <Route path="/dynamodb/imports" element={<Imports />} />
                <Route path="/dynamodb/import-table" element={<ImportTable />} />
                <Route path="/dynamodb/bulk" element={<BulkPuts />} />
                <Route path="/dynamodb/dax" element={<Clusters />} />
                <Route path="/dynamodb/dax-parameters" element={<ParameterGroups />} />
                <Route path="/kms/keys" element={<Keys />} />
                <Route path="/kms/keys/:id" element={<PageOf><KeyDetails /></PageOf>} />
                <Route path="/iam/policies" element={<Policies />} />
                <Route path="/iam/policies/:arn" element={<PageOf><PolicyDetails /></PageOf>} />
                <Route path="/iam/simulator" element={<Simulator />} />
                <Route path="/iam/:kind" element={<Entities />} />
                <Route path="/iam/:kind/:name" element={<PageOf><EntityDetails /></PageOf>} />
                <Route path="/dynamodb/partiql" element={<Statements />} />
                <Route path="*" element={<Navigate to="/" replace />} />
              </Routes>
            </Suspense>
          </div>
        }
      />
      {changesPassword && <ChangePassword dismiss={() => setChangesPassword(false)} />}
    </>
  );
}
