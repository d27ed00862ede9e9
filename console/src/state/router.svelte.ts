// The page shown: follows the address, and changes it.
import { parseRoute, routeHash, type Route } from '../domain/route';

class Router {
  route = $state.raw<Route>(parseRoute(location.hash));

  constructor() {
    addEventListener('hashchange', () => (this.route = parseRoute(location.hash)));
  }

  /** Goes to a route; `replace` leaves no step for the back button. */
  go(route: Route, { replace = false } = {}): void {
    const hash = routeHash(route);
    if (hash === location.hash) return;
    if (replace) {
      history.replaceState(null, '', hash);
      this.route = route;
    } else {
      location.hash = hash;
    }
  }
}

export const router = new Router();
