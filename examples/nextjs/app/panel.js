'use client';

// What existing pages do with next-auth/react: nothing here knows of the gateway. `auth` is the client library, of version 4 or 5.
import { useState } from 'react';

export function Panel({ auth, title }) {
  return (
    <auth.SessionProvider>
      <h1>{title}</h1>
      <Person auth={auth} />
    </auth.SessionProvider>
  );
}

// A page that sends visitors to the login by itself.
export function Required({ auth }) {
  return (
    <auth.SessionProvider>
      <Welcome auth={auth} />
    </auth.SessionProvider>
  );
}

function Welcome({ auth }) {
  const { data } = auth.useSession({ required: true });
  return data ? <p id="welcome">Welcome, {data.user.name}</p> : <p>…</p>;
}

function Person({ auth }) {
  const { data, status, update } = auth.useSession();
  const [said, setSaid] = useState('');
  const say = async (promise) => setSaid(JSON.stringify((await promise) ?? null));
  const credentials = (form) => Object.fromEntries(new FormData(form));
  const onSubmit = (event) => {
    event.preventDefault();
    const redirect = event.nativeEvent.submitter.value === 'redirect';
    say(auth.signIn('credentials', { ...credentials(event.currentTarget), redirect }));
  };
  return (
    <>
      <p>You are <b id="status">{status}</b></p>
      <pre id="session">{JSON.stringify(data, null, 1)}</pre>
      {status === 'authenticated' ? (
        <p>
          <button id="update" onClick={() => say(update({ user: { name: 'Root', role: 'root' } }))}>Update</button>
          <button id="sign-out" onClick={() => auth.signOut({ callbackUrl: '/' })}>Log out</button>
          <button id="sign-out-here" onClick={() => say(auth.signOut({ redirect: false }))}>Log out, and stay</button>
        </p>
      ) : (
        <>
          <p>
            <button id="google" onClick={() => auth.signIn('google')}>Continue with Google</button>
            <button id="any" onClick={() => auth.signIn()}>Log in</button>
            <button id="unknown" onClick={() => auth.signIn('unknown')}>Log in at an unknown provider</button>
          </p>
          <form onSubmit={onSubmit}>
            <input name="email" type="email" placeholder="E-mail" aria-label="E-mail" />
            <input name="password" type="password" placeholder="Password" aria-label="Password" />
            <button value="stay">Log in, and stay</button>
            <button value="redirect">Log in</button>
          </form>
        </>
      )}
      <p>
        <button id="get-session" onClick={() => say(auth.getSession())}>getSession</button>
        <button id="get-providers" onClick={() => say(auth.getProviders())}>getProviders</button>
      </p>
      <output id="said">{said}</output>
    </>
  );
}
