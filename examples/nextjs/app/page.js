export default function Home() {
  return (
    <main>
      <h1>next-auth behind Vestibule</h1>
      <ul>
        <li><a href="/v4">The page with next-auth 4</a>, for <code>compat = ["next-auth-4"]</code></li>
        <li><a href="/v5">The same page with next-auth 5</a>, for <code>compat = ["authjs-5"]</code></li>
        <li><a href="/account">A page for people who are logged in</a></li>
      </ul>
    </main>
  );
}
