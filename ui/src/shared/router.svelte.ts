// Where the person is: a typed value, no addresses. Back goes through the browser's history.
export type Route =
  | { screen: "experiments" }
  | { screen: "experiment"; id: string }
  | { screen: "wizard" }
  | { screen: "runs" }
  | { screen: "run"; experiment: string }
  | { screen: "models" }
  | { screen: "data"; id?: string }
  | { screen: "chat"; id?: string }
  | { screen: "reports" }
  | { screen: "report"; experiment: string };

const state = $state<{ route: Route }>({
  route: (history.state as Route | null)?.screen ? (history.state as Route) : { screen: "experiments" },
});

export const route = (): Route => state.route;

export function go(next: Route): void {
  history.pushState({ ...next }, "");
  state.route = next;
}

window.addEventListener("popstate", (event) => {
  state.route = (event.state as Route | null) ?? { screen: "experiments" };
});
