import { applyMode, Mode } from "@cloudscape-design/global-styles";
import { useEffect, useState } from "react";

const MODE = "jedlik.mode";

/** Whether the page is dark, as it was last chosen or as the browser prefers it; and what switches it. */
export function useMode(): [boolean, () => void] {
  const [dark, setDark] = useState(() => {
    const chosen = localStorage.getItem(MODE);
    return chosen === null ? matchMedia("(prefers-color-scheme: dark)").matches : chosen === "dark";
  });
  useEffect(() => applyMode(dark ? Mode.Dark : Mode.Light), [dark]);
  const turn = () => {
    localStorage.setItem(MODE, dark ? "light" : "dark");
    setDark(!dark);
  };
  return [dark, turn];
}
