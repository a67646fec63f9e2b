import { headers } from 'next/headers';

// Who sent this request: what `getServerSession()` or `auth()` was. The gateway sets these headers on the routes of gateway.toml, and
// removes them from what visitors send.
export async function person() {
  const sent = await headers();
  const text = (name) => (sent.has(name) ? decodeURIComponent(sent.get(name)) : undefined);
  const id = text('x-user-id');
  return id && { id, email: text('x-user-email'), name: text('x-user-name') };
}
