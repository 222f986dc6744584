import AppLayout from "@cloudscape-design/components/app-layout";
import SideNavigation from "@cloudscape-design/components/side-navigation";
import Spinner from "@cloudscape-design/components/spinner";
import TopNavigation from "@cloudscape-design/components/top-navigation";
import { applyMode, Mode } from "@cloudscape-design/global-styles";
import { lazy, Suspense, useEffect, useState } from "react";
import { Navigate, Route, Routes, useLocation, useNavigate } from "react-router-dom";
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
const Statements = lazy(() => import("./statements"));

const MODE = "jedlik.mode";

/** The frame of every page: the bar with account and region, the way to other pages, and the page. */
export function App() {
  const session = useSession();
  const navigate = useNavigate();
  const { pathname } = useLocation();
  const [dark, setDark] = useState(() => {
    const chosen = localStorage.getItem(MODE);
    return chosen === null ? matchMedia("(prefers-color-scheme: dark)").matches : chosen === "dark";
  });
  const [showsRequests, setShowsRequests] = useState(false);
  useEffect(() => applyMode(dark ? Mode.Dark : Mode.Light), [dark]);
  const follow = (event: CustomEvent<{ href?: string; external?: boolean }>) => {
    const href = event.detail.href;
    if (!event.detail.external && href?.startsWith("#")) {
      event.preventDefault();
      navigate(href.slice(1));
    }
  };
  const inDynamoDB = pathname.startsWith("/dynamodb");
  const switchMode = () => {
    localStorage.setItem(MODE, dark ? "light" : "dark");
    setDark(!dark);
  };
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
              text: `${texts.account} ${session.account}`,
              iconName: "user-profile",
              items: session.server.auth ? [{ id: "out", text: texts.signOut }] : [],
              onItemClick: session.signOut,
            },
          ]}
        />
      </div>
      <AppLayout
        headerSelector="#bar"
        navigationHide={!inDynamoDB}
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
          <SideNavigation
            header={{ text: texts.dynamodb, href: "#/dynamodb/tables" }}
            activeHref={`#${pathname}`}
            onFollow={follow}
            items={[
              { type: "link", text: texts.tables, href: "#/dynamodb/tables" },
              { type: "link", text: texts.exploreItems, href: "#/dynamodb/items" },
              { type: "link", text: texts.partiql, href: "#/dynamodb/partiql" },
              { type: "link", text: texts.backups, href: "#/dynamodb/backups" },
            ]}
          />
        }
        content={
          <Suspense fallback={<Spinner size="large" />}>
            <Routes key={session.region}>
              <Route path="/" element={<Home />} />
              <Route path="/dynamodb/tables" element={<TableList />} />
              <Route path="/dynamodb/create-table" element={<CreateTable />} />
              <Route path="/dynamodb/tables/:name" element={<TableDetails />} />
              <Route path="/dynamodb/tables/:name/:tab" element={<TableDetails />} />
              <Route path="/dynamodb/items" element={<Explore />} />
              <Route path="/dynamodb/items/:name" element={<Explore />} />
              <Route path="/dynamodb/item/:name" element={<ItemPage />} />
              <Route path="/dynamodb/backups" element={<BackupList />} />
              <Route path="/dynamodb/partiql" element={<Statements />} />
              <Route path="*" element={<Navigate to="/" replace />} />
            </Routes>
          </Suspense>
        }
      />
    </>
  );
}
