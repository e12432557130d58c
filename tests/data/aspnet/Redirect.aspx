<%@ Page Language="C#" %>
<script runat="server">
    void Page_Load() {
        switch (Request.QueryString["to"]) {
            case "path": Response.Redirect("/Info.aspx"); break;
            case "url": Response.Redirect(new Uri(Request.Url, "/Info.aspx?a=b").ToString()); break;
            // As "redirect to https" is written in many applications.
            case "https": if (!Request.IsSecureConnection) { Response.Redirect("https://" + Request.ServerVariables["HTTP_HOST"] + Request.RawUrl); } break;
            // And by those that have heard of proxies.
            case "front-end": if (Request.Headers["Front-End-Https"] != "on") { Response.Redirect("https://" + Request.ServerVariables["HTTP_HOST"] + Request.RawUrl); } break;
        }
        Response.ContentType = "text/plain";
        Response.Write("here");
    }
</script>
