<%@ Page Language="C#" %>
<script runat="server">
    void Page_Load() {
        Session["visited"] = true;
        Response.ContentType = "text/plain";
        Response.Write(Request.Url + " " + Request.IsSecureConnection + " " + Request.Headers["Front-End-Https"]);
    }
</script>
