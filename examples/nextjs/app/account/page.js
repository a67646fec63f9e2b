import { person } from '../../lib/person';

// A page that middleware.ts protected: now the route with `access = "user"` does.
export default async function Account() {
  const { id, name, email } = await person();
  return <p id="account">{name} ({email}) is {id}</p>;
}
